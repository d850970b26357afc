"""What people's marks on one answer come to."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from loopwise.types import Signal

CLEAR = 0.5  # the sum of strength times confidence from which an answer counts as good or, below 0, as bad
CREDIBLE = 0.2  # one person's from which the answer is disputed, whatever the others say


@dataclass
class Mark:
    """One person's marks on one answer, together. ``net`` is the sum of strength times confidence."""

    user: str
    net: float = 0.0
    given: float = 0.0  # the sum of the amounts
    weighted: float = 0.0  # the same, each times its signal's weight
    at: float = 0.0
    feedback: list[str] = field(default_factory=list[str])

    def add(self, signal: Signal, strength: float) -> None:
        amount = abs(strength) * signal.confidence
        self.net += strength * signal.confidence
        self.given += amount
        self.weighted += amount * signal.weight
        self.at = max(self.at, signal.at)
        self.feedback.append(signal.feedback_id)

    @property
    def stands_for(self) -> float:
        """How many people like this one it stands for, on average over the marks."""
        return self.weighted / self.given if self.given else 0.0


@dataclass(frozen=True)
class Standing:
    """What all say of one answer. ``good`` and ``bad`` exclude each other; both are False where nothing is clear."""

    total: float  # the sum of each person's net, which is at most 1 either way
    lowest: float
    highest: float

    @property
    def good(self) -> bool:
        return self.total >= CLEAR and self.lowest > -CREDIBLE

    @property
    def bad(self) -> bool:
        return self.total <= -CLEAR and self.highest < CREDIBLE

    @property
    def doubted(self) -> bool:
        """Somebody credible marked it down."""
        return self.lowest <= -CREDIBLE


def standing(marks: Iterable[Mark], implied: Iterable[Mark], quarantined: Container[str]) -> Standing:
    """Of the marks on one answer, and those that corrections and preferences imply; quarantined people do not count."""
    nets: dict[str, float] = {}
    for mark in (*marks, *implied):
        if mark.user not in quarantined:
            nets[mark.user] = nets.get(mark.user, 0.0) + mark.net
    values = [max(-1.0, min(1.0, net)) for net in nets.values()]
    return Standing(sum(values), min(values, default=0.0), max(values, default=0.0))
