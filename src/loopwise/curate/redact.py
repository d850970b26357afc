"""Takes out of examples what identifies people or opens doors, and leaves a placeholder of its kind.

An example that holds two different addresses gets ``[EMAIL_1]`` and ``[EMAIL_2]``, one that holds a single one, however
often, ``[EMAIL]``: a task that depends on which one is meant stays a task, and nothing but that is told. Numbers are an
example's own and say nothing across examples. What was found once is taken out of all of the example, so that an answer
never gives away what was taken out of its question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from loopwise.curate.ledger import Ledger
from loopwise.curate.pii.find import find
from loopwise.curate.pii.names import name_recognizer
from loopwise.curate.pii.spans import Kind, Recognizer, Span
from loopwise.curate.strings import Visit, rewritten
from loopwise.types import Example, Message

STEP = "redact"

_MARKER = re.compile(r"\[(EMAIL|PHONE|CARD|IBAN|IP|KEY|NAME)(?:_(\d{1,6}))?\]")
_SPACED: frozenset[Kind] = frozenset({"PHONE", "CARD", "IBAN"})  # the same number may be grouped in another way


def redact(
    examples: Iterable[Example], ledger: Ledger, names: bool = False, names_model: Path | None = None
) -> Iterator[Example]:
    """Replaces e-mail addresses, telephone, card and account numbers, IP addresses and keys; people's names with
    ``names``, found by the spaCy model in the folder ``names_model``.

    Looks at messages, completion, rejected answer, tool calls and tools; JSON stays JSON. The ledger counts what was
    replaced by kind. An example without any comes out as the same object; redacting twice is redacting once. Raises
    MissingExtraError or SettingsError where names cannot be found.
    """
    more = (name_recognizer(names_model),) if names else ()
    return (_redacted(example, ledger, more) for example in examples)


def redact_messages(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages as they stand in a redacted example, to compare a suite's questions with examples that were redacted."""
    example = Example(tuple(messages), "", "practice", "", ())
    return _redacted(example, Ledger(), ()).messages


def _redacted(example: Example, ledger: Ledger, more: Sequence[Recognizer]) -> Example:
    parts = (example.messages, example.completion, example.rejected, example.tool_calls, example.tools)
    entities = _Entities(more)
    rewritten(parts, entities.collect)
    if not entities.numbers:
        return example
    changed = rewritten(parts, entities.replacing(ledger))
    messages, completion, rejected, tool_calls, tools = cast("tuple[Any, ...]", changed)
    return replace(
        example, messages=messages, completion=completion, rejected=rejected, tool_calls=tool_calls, tools=tools
    )


class _Entities:
    """What one example holds: first collected over all of its texts, then replaced in each."""

    def __init__(self, more: Sequence[Recognizer]) -> None:
        self.numbers: dict[tuple[Kind, str], int] = {}  # from 1 within a kind, by first appearance
        self._more = more
        self._spans: dict[tuple[str, str], list[Span]] = {}
        self._written: dict[tuple[Kind, str], dict[str, None]] = {}  # the ways it is written, in order
        self._marked: dict[str, int] = {}  # the highest number among placeholders that the text came with

    def collect(self, text: str, key: str) -> str:
        """Notes the entities of ``text``, which stands under ``key`` in JSON; changes nothing."""
        before = f"{key}: " if key else ""
        spans = [
            span._replace(start=span.start - len(before), end=span.end - len(before), entity=self._same(span))
            for span in find(before + text, self._more)
            if span.start >= len(before)
        ]
        self._spans[text, key] = spans
        for span in spans:
            self.numbers.setdefault((span.kind, span.entity), 1 + sum(kind == span.kind for kind, _ in self.numbers))
            self._written.setdefault((span.kind, span.entity), {})[text[span.start : span.end]] = None
        if "[" in text:
            for marker in _MARKER.finditer(text):
                self._marked[marker[1]] = max(self._marked.get(marker[1], 0), int(marker[2] or 1))
        return text

    def replacing(self, ledger: Ledger) -> Visit:
        again = [(entity, self._pattern(*entity)) for entity in self.numbers]

        def replaced(text: str, key: str) -> str:
            spans = list(self._spans[text, key])
            for entity, pattern in again:
                echoes = [Span(*match.span(), *entity) for match in pattern.finditer(text)]
                spans += [echo for echo in echoes if all(echo.end <= s.start or s.end <= echo.start for s in spans)]
            pieces: list[str] = []
            end = 0
            for span in sorted(spans):
                pieces += [text[end : span.start], self._placeholder(span)]
                end = span.end
                ledger.change(STEP, span.kind)
            return "".join(pieces) + text[end:]

        return replaced

    def _same(self, span: Span) -> str:
        """The entity as it is known already: a telephone number with and without its country code is one."""
        if span.kind == "PHONE":
            for kind, known in self.numbers:
                if kind == "PHONE" and (known.endswith(span.entity) or span.entity.endswith(known)):
                    return known
        return span.entity

    def _placeholder(self, span: Span) -> str:
        marked = self._marked.get(span.kind, 0)
        alone = sum(kind == span.kind for kind, _ in self.numbers) == 1
        if alone and not marked:
            return f"[{span.kind}]"
        return f"[{span.kind}_{marked + self.numbers[span.kind, span.entity]}]"

    def _pattern(self, kind: Kind, entity: str) -> re.Pattern[str]:
        ways = [re.escape(written) for written in self._written[kind, entity]]
        if kind in _SPACED:
            ways.append(r"[ .\-()/]{0,2}".join(entity))
        ways.sort(key=len, reverse=True)
        return re.compile(rf"(?<![^\W_])(?:{'|'.join(ways)})(?![^\W_])", re.IGNORECASE if kind == "EMAIL" else 0)
