"""Answers that a later exchange may be compared with: those that were marked, and those that were asked for anew."""

from __future__ import annotations

from collections.abc import Iterator

from loopwise.curate.identity import answer_id, prompt_id
from loopwise.curate.spill import Spill
from loopwise.types import Example

PER_PROMPT = 2  # marked answers of a prompt, good and bad each, that later ones are paired with
AWAITED = 100_000  # answers that wait for the one asked for in their place; after so many, the oldest is given up


class Remembered:
    """Texts are on disk; in memory are numbers, about 200 bytes for each prompt with a marked answer."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._marked: dict[int, dict[str, list[tuple[int, int]]]] = {}  # prompt → kind → (answer, place)
        self._awaited: dict[str, list[int]] = {}  # exchange asked for instead → places

    def opposites(self, example: Example) -> Iterator[Example]:
        """The earliest answers to the same prompt of which the opposite was said; remembers this one, too.

        ``example`` is approved or refused.
        """
        kinds = self._marked.setdefault(prompt_id(example), {})
        for _, place in kinds.get("refused" if example.kind == "approved" else "approved", ()):
            yield self._spill[place]
        mine, answer = kinds.setdefault(example.kind, []), answer_id(example)
        if len(mine) < PER_PROMPT and all(known != answer for known, _ in mine):
            mine.append((answer, self._spill.add(example)))

    def await_better(self, exchange_id: str, example: Example) -> None:
        """Remembers ``example``, the answer in whose place the exchange was asked for."""
        if len(self._awaited) >= AWAITED:
            self._awaited.pop(next(iter(self._awaited)))
        self._awaited.setdefault(exchange_id, []).append(self._spill.add(example))

    def awaits(self, exchange_id: str) -> bool:
        return exchange_id in self._awaited

    def replaced_by(self, exchange_id: str) -> list[Example]:
        """The answers in whose place this exchange was asked for."""
        return [self._spill[place] for place in self._awaited.pop(exchange_id, ())]
