"""What curation dropped, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from loopwise.types import Example, JsonObject

NAMED = 100  # drops whose provenance the manifest lists, per step and reason; all are counted


class Ledger:
    """Counts every drop by step and reason, and names the first of each."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._named: dict[tuple[str, str], list[list[str]]] = {}
        self._changes: Counter[tuple[str, str]] = Counter()

    def drop(self, step: str, reason: str, example: Example) -> None:
        """Counts one drop. ``reason`` must hold no text of people: it stays when the text has to go."""
        self._counts[step, reason] += 1
        named = self._named.setdefault((step, reason), [])
        if len(named) < NAMED:
            named.append(list(example.provenance))

    def change(self, step: str, what: str, n: int = 1) -> None:
        """Counts ``n`` alterations of examples that stay, such as replaced e-mail addresses; keeps none of the text."""
        self._changes[step, what] += n

    @property
    def total(self) -> int:
        return self._counts.total()

    def rows(self) -> list[JsonObject]:
        """One row per step and reason, in the order of the first drop; ``examples`` holds provenance ids."""
        return [
            {"step": step, "reason": reason, "count": count, "examples": self._named[step, reason]}
            for (step, reason), count in self._counts.items()
        ]

    def changes(self) -> list[JsonObject]:
        """One row per step and alteration, sorted."""
        return [{"step": step, "what": what, "count": count} for (step, what), count in sorted(self._changes.items())]


Step = Callable[[Iterable[Example], Ledger], Iterator[Example]]
