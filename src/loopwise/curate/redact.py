"""Takes out of examples what identifies people or opens doors, and leaves a placeholder of its kind.

An example that holds two different addresses gets ``[EMAIL_1]`` and ``[EMAIL_2]``, one that holds a single one, however
often, ``[EMAIL]``: a task that depends on which one is meant stays a task, and nothing but that is told. Numbers are an
example's own and say nothing across examples. What was found once is taken out of all of the example, so that an answer
never gives away what was taken out of its question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from loopwise.curate.ledger import Ledger
from loopwise.curate.pii.find import find
from loopwise.curate.pii.names import name_recognizer
from loopwise.curate.pii.spans import Kind, Recognizer, Span, insert
from loopwise.curate.strings import Visit, rewritten
from loopwise.types import Example, Message

STEP = "redact"

_Entity = tuple[Kind, str]

_MARKER = re.compile(r"\[(EMAIL|PHONE|CARD|IBAN|IP|KEY|NAME)(?:_(\d{1,6}))?\]")
_WORD = re.compile(r"[^\W_]+")
_LAST_DIGITS = 7  # by which two ways to write a telephone number are compared first
_NUMBER = re.compile(r"(?<!\w)\(?\+?\d(?:[ .\-()/]{0,2}\d){6,14}(?!\w)", re.ASCII)


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
    given = parts = (example.messages, example.completion, example.rejected, example.tool_calls, example.tools)
    while True:  # what stood beside a thing may be plain to see once that is gone: each round leaves less to be found
        entities = _Entities(more)
        rewritten(parts, entities.collect)
        if not entities.numbers:
            break
        parts = rewritten(parts, entities.replacing(ledger))
    if parts is given:
        return example
    messages, completion, rejected, tool_calls, tools = cast("tuple[Any, ...]", parts)
    return replace(
        example, messages=messages, completion=completion, rejected=rejected, tool_calls=tool_calls, tools=tools
    )


class _Entities:
    """What one example holds: first collected over all of its texts, then replaced in each. Both in linear time."""

    def __init__(self, more: Sequence[Recognizer]) -> None:
        self.numbers: dict[_Entity, int] = {}  # from 1 within a kind, by first appearance
        self._more = more
        self._distinct: Counter[str] = Counter()  # by kind
        self._marked: dict[str, int] = {}  # the highest number among placeholders that the text came with
        self._spans: dict[tuple[str, str], list[Span]] = {}
        self._ways: dict[str, dict[tuple[str, int], _Entity]] = {}  # first word → (as written, the word's place in it)
        self._phones: dict[str, str] = {}  # last digits → the number as it was first written

    def collect(self, text: str, key: str) -> str:
        """Notes the entities of ``text``, which stands under ``key`` in JSON; changes nothing."""
        before = f"{key}: " if key else ""
        markers = list(_MARKER.finditer(text)) if "[" in text else []
        placeholders = {at for marker in markers for at in range(*marker.span())}
        spans: list[Span] = []
        for span in find(before + text, self._more):
            start, end = span.start - len(before), span.end - len(before)
            if start >= 0 and not placeholders.issuperset(range(start, end)):
                spans.append(Span(start, end, span.kind, self._same(span)))
        self._spans[text, key] = spans
        for span in spans:
            entity = (span.kind, span.entity)
            if entity not in self.numbers:
                self._distinct[span.kind] += 1
                self.numbers[entity] = self._distinct[span.kind]
            written = text[span.start : span.end]
            if word := _WORD.search(written):
                self._ways.setdefault(word[0], {})[written, word.start()] = entity
        for marker in markers:
            self._marked[marker[1]] = max(self._marked.get(marker[1], 0), int(marker[2] or 1))
        return text

    def replacing(self, ledger: Ledger) -> Visit:
        def replaced(text: str, key: str) -> str:
            spans = list(self._spans[text, key])
            for echo in (*self._echoes(text), *self._phones_again(text)):
                insert(spans, echo)
            pieces: list[str] = []
            end = 0
            for span in spans:
                pieces += [text[end : span.start], self._placeholder(span)]
                end = span.end
                ledger.change(STEP, span.kind)
            return "".join(pieces) + text[end:]

        return replaced

    def _placeholder(self, span: Span) -> str:
        marked = self._marked.get(span.kind, 0)
        if self._distinct[span.kind] == 1 and not marked:
            return f"[{span.kind}]"
        return f"[{span.kind}_{marked + self.numbers[span.kind, span.entity]}]"

    def _same(self, span: Span) -> str:
        """The entity as it is known already: a telephone number with and without its country code is one."""
        if span.kind != "PHONE":
            return span.entity
        known = self._phones.setdefault(span.entity[-_LAST_DIGITS:], span.entity)
        return known if known.endswith(span.entity) or span.entity.endswith(known) else span.entity

    def _echoes(self, text: str) -> Iterator[Span]:
        """Where ``text`` has what is known, letter by letter, and not as a part of a longer word."""
        for word in _WORD.finditer(text):
            for (written, place), entity in self._ways.get(word[0], {}).items():
                start = word.start() - place
                end = start + len(written)
                if start >= 0 and text.startswith(written, start) and not text[end : end + 1].isalnum():
                    yield Span(start, end, *entity)

    def _phones_again(self, text: str) -> Iterator[Span]:
        """Known telephone numbers in other groupings, where no word says that they are such."""
        for match in _NUMBER.finditer(text) if self._phones else ():
            digits = re.sub(r"\D", "", match[0]).lstrip("0")
            known = self._phones.get(digits[-_LAST_DIGITS:], "")
            if known and (known.endswith(digits) or digits.endswith(known)):
                yield Span(*match.span(), "PHONE", known)
