"""What every recognizer takes and gives."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Kind = Literal["EMAIL", "PHONE", "CARD", "IBAN", "IP", "KEY", "NAME"]


class Seen(NamedTuple):
    """A text as a reader sees it, and what cheap checks need before a pattern runs."""

    text: str
    lowered: str
    digits: int  # how many there are


class Span(NamedTuple):
    """``text[start:end]`` is of this kind; ``entity`` is the same for all ways to write the same thing."""

    start: int
    end: int
    kind: Kind
    entity: str


Recognizer = Callable[[Seen], Iterator[Span]]


def insert(spans: list[Span], span: Span) -> None:
    """Adds ``span`` in its place unless it overlaps one that is there; ``spans`` are in order and do not overlap."""
    at = bisect(spans, span)
    if (at == 0 or spans[at - 1].end <= span.start) and (at == len(spans) or span.end <= spans[at].start):
        insort(spans, span)
