"""What was said, against the truth: counts for people, and one line for each feedback."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from loopwise.types import FeedbackKind, JsonObject


@dataclass(frozen=True)
class Told:
    """One feedback with the truth about it: ``right`` whether the answer was, ``says_true`` whether the feedback is,
    ``poisoned`` whether an attacker gave it in order to push."""

    feedback: str
    exchange: str
    user: str | None
    group: str
    kind: FeedbackKind
    right: bool
    says_true: bool
    poisoned: bool = False

    def line(self) -> str:
        row: JsonObject = {**self.__dict__, "truth": "right" if self.right else "wrong"}
        del row["right"]
        return json.dumps(row) + "\n"


@dataclass(frozen=True)
class Said:
    """``n`` feedback of a kind, of which ``false`` contradict the truth."""

    n: int
    false: int


@dataclass(frozen=True)
class GroupCounts:
    """``events`` are questions."""

    people: int
    events: int
    said: Mapping[FeedbackKind, Said]


@dataclass(frozen=True)
class Counts:
    """What happened. ``poisoned`` is feedback by account; ``right`` are answers that were right in truth; ``errors``
    requests that the gateway failed to serve, after which their event went no further; ``again`` what was asked
    because of an answer (regenerate, follow_up)."""

    events: int
    right: int
    again: int
    errors: int
    by_group: Mapping[str, GroupCounts]
    poisoned: Mapping[str, int]
    seconds: float

    @property
    def by_kind(self) -> dict[FeedbackKind, Said]:
        n, false = Counter[FeedbackKind](), Counter[FeedbackKind]()
        for group in self.by_group.values():
            for kind, said in group.said.items():
                n[kind] += said.n
                false[kind] += said.false
        return {kind: Said(n[kind], false[kind]) for kind in sorted(n)}

    def as_dict(self) -> JsonObject:
        """For ``--json``."""
        groups = {
            name: {"people": group.people, "events": group.events, "said": _plain(group.said)}
            for name, group in self.by_group.items()
        }
        rate = self.events / self.seconds if self.seconds else 0.0
        return {
            "events": self.events,
            "right": self.right,
            "again": self.again,
            "errors": self.errors,
            "by_kind": _plain(self.by_kind),
            "by_group": groups,
            "poisoned": dict(self.poisoned),
            "seconds": round(self.seconds, 3),
            "events_per_s": round(rate, 1),
        }


def _plain(said: Mapping[FeedbackKind, Said]) -> dict[str, Any]:
    return {kind: {"n": each.n, "false": each.false} for kind, each in said.items()}


@dataclass
class Tally:
    """Counts while it happens. ``truth`` gets a line for each feedback before it is sent: whoever is killed may have
    told of feedback that never arrived, and never the other way round."""

    people: Mapping[str, int]  # by group
    truth: TextIO | None = None
    seen: Counter[str] = field(default_factory=Counter[str])
    events: Counter[str] = field(default_factory=Counter[str])  # by group
    said: Counter[tuple[str, FeedbackKind]] = field(default_factory=Counter[tuple[str, FeedbackKind]])
    false: Counter[tuple[str, FeedbackKind]] = field(default_factory=Counter[tuple[str, FeedbackKind]])
    poisoned: Counter[str] = field(default_factory=Counter[str])

    def write(self, rows: Iterable[Told]) -> None:
        """Keeps the truth about what is about to be said."""
        if self.truth is not None:
            self.truth.write("".join(row.line() for row in rows))
            self.truth.flush()

    def count(self, rows: Iterable[Told]) -> None:
        """Counts what was acknowledged."""
        for row in rows:
            self.said[row.group, row.kind] += 1
            self.false[row.group, row.kind] += not row.says_true
            if row.poisoned and row.user is not None:
                self.poisoned[row.user] += 1

    def counts(self, seconds: float) -> Counts:
        groups = [*self.people, *sorted({group for group, _ in self.said} - set(self.people))]
        by_group = {
            name: GroupCounts(
                self.people.get(name, 0),
                self.events[name],
                {k: Said(n, self.false[g, k]) for (g, k), n in sorted(self.said.items()) if g == name},
            )
            for name in groups
        }
        return Counts(
            events=self.seen["events"],
            right=self.seen["right"],
            again=self.seen["again"],
            errors=self.seen["errors"],
            by_group=by_group,
            poisoned=dict(sorted(self.poisoned.items())),
            seconds=seconds,
        )
