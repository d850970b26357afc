"""Records with labels, made without counting characters: labels travel inside the text and are taken out at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile("\ue000(\\w+)\ue003(\\w[\\w ,-]*)?\ue001(.*?)\ue002", re.DOTALL)


@dataclass(frozen=True)
class Made:
    """Something to find; ``trick`` says in which way it hides, if in any."""

    kind: str
    value: str
    trick: str = ""

    @property
    def labelled(self) -> str:
        return f"\ue000{self.kind}\ue003{self.trick}\ue001{self.value}\ue002"


@dataclass(frozen=True)
class Label:
    start: int
    end: int
    kind: str
    trick: str


@dataclass(frozen=True)
class Record:
    text: str
    labels: tuple[Label, ...]
    form: str  # which of the formats, or which kind of clean text


def record(labelled: str, form: str) -> Record:
    pieces: list[str] = []
    labels: list[Label] = []
    at = end = 0
    for match in _LABEL.finditer(labelled):
        before = labelled[end : match.start()]
        at += len(before)
        pieces += [before, match[3]]
        labels.append(Label(at, at + len(match[3]), match[1], match[2] or ""))
        at += len(match[3])
        end = match.end()
    return Record("".join(pieces) + labelled[end:], tuple(labels), form)
