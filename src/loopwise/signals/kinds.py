"""What a kind is worth: implicit events and metrics earn their weight by predicting what is known of the same answer.

Measured as agreement with the truth beyond what the base rate gives, as Cohen's (1960) kappa does; with Newcombe's
(1998) interval, whose sample size is the effective one of a sample of persons (Kish 1965): a thousand copies by one
person are not a thousand. What is learned of a kind (which way it points, where its middle lies) is learned from other
persons than those on whom it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from loopwise.signals.evidence import NOBODY, VERIFIER, Evidence, Flags
from loopwise.signals.words import digest
from loopwise.stats.distributions import Integers, Reals
from loopwise.stats.newcombe import newcombe
from loopwise.types import JsonObject

STATED = ("thumbs", "rating", "correction", "preference", "comment")  # people say what they mean: weighed by person
PRESUMED = ("edit",)  # a person's own words stand for what they say, until the data refute it
LEARNED = ("metric:", "follow_up")  # of these the direction is learned, too
FEWEST_PEOPLE = 5  # of fewer nothing is concluded about others
FOLDS = 5
LEVEL = 0.95
Role = Literal["stated", "presumed", "earned"]


@dataclass(frozen=True)
class Kind:
    """``weight`` in [0, 1]. ``agreement`` with the truth over ``n`` answers by ``people`` persons, ``low`` and ``high``
    of its excess over ``base``, as a share of the most that it could exceed it. A learned kind reads a number x as
    ``direction`` (x - ``middle``) / ``reach``, within [-1, 1]."""

    role: Role
    weight: float
    n: int = 0
    people: int = 0
    agreement: float | None = None
    base: float | None = None
    low: float | None = None
    high: float | None = None
    direction: float = 1.0
    middle: float = 0.0
    reach: float = 1.0

    def as_dict(self) -> JsonObject:
        """For reports."""
        shown = {
            name: getattr(self, name) for name in ("role", "n", "people", "agreement", "base", "low", "high", "weight")
        }
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in shown.items()}

    def read(self, number: float) -> float:
        """The strength of a metric's value."""
        return max(-1.0, min(1.0, self.direction * (number - self.middle) / self.reach))


@dataclass(frozen=True)
class _Seen:
    """n events of one kind on answers whose truth is known: the number (or strength), whether the answer is good, and
    who it comes from, as a hash that follows from the person."""

    x: Reals
    good: Flags
    who: Integers


def weighed_kinds(evidence: Evidence, truth: tuple[Integers, Flags], counted_N: Flags) -> dict[str, Kind]:
    """Each kind's worth by name. ``truth`` is (hashes of items, sorted; whether each is good)."""
    items, good_I = truth
    base = float(good_I.mean()) if len(items) else 0.5
    people = np.array([digest(name) for name in evidence.people], dtype=np.int64)
    found: dict[str, Kind] = {}
    for code, name in enumerate(evidence.kinds):
        if name in STATED:
            found[name] = Kind("stated", 1.0)
            continue
        rows = np.flatnonzero((evidence.kind_N == code) & counted_N & (evidence.source_N != VERIFIER))
        place = np.searchsorted(items, evidence.item_N[rows])
        known = (
            items[np.minimum(place, len(items) - 1)] == evidence.item_N[rows]
            if len(items)
            else np.zeros(len(rows), bool)
        )
        rows, place = rows[known], place[known]
        person = evidence.person_N[rows]
        who = np.where(person == NOBODY, evidence.item_N[rows], people[person] if len(people) else 0)
        number = np.where(np.isnan(evidence.number_N[rows]), evidence.strength_N[rows], evidence.number_N[rows])
        once = np.unique(np.stack([who, evidence.item_N[rows]]), axis=1, return_index=True)[1]
        found[name] = _worth(name, _Seen(number[once], good_I[place[once]], who[once]), (base, len(items)))
    return found


def _worth(name: str, seen: _Seen, base: tuple[float, int]) -> Kind:
    presumed, learned = name in PRESUMED, name.startswith(LEARNED)
    role, unproved = ("presumed", 1.0) if presumed else ("earned", 0.0)
    n, people = len(seen.x), len(np.unique(seen.who))
    if people < FEWEST_PEOPLE:
        return Kind(role, unproved, n, people)
    called = _cross_fitted(seen, base[0]) if learned else seen.x > 0
    right = called == seen.good
    agreement = float(right.mean())
    share = float(called.mean())
    chance = share * base[0] + (1 - share) * (1 - base[0])
    found = newcombe((agreement, _effective(right, seen.who)), (chance, base[1]), LEVEL)
    most = max(1 - chance, 1e-9)
    low, high = found.low / most, min(1.0, found.high / most)
    weight = float(high > 0) if presumed else max(0.0, min(1.0, low))
    direction, middle, reach = _line(seen.x, seen.good, base[0]) if learned else (1.0, 0.0, 1.0)
    return Kind(role, weight, n, people, agreement, chance, low, high, direction, middle, reach)


def _cross_fitted(seen: _Seen, base: float) -> Flags:
    """What each event is taken to say, by a line that was drawn without its fold of persons."""
    called = np.zeros(len(seen.x), dtype=bool)
    fold = seen.who % FOLDS
    for held in range(FOLDS):
        other = fold != held
        if other.any():
            direction, middle, _ = _line(seen.x[other], seen.good[other], base)
            called[~other] = direction * (seen.x[~other] - middle) > 0
    return called


def _line(x: Reals, good: Flags, base: float) -> tuple[float, float, float]:
    """(direction, middle, reach): the middle between the means of good and bad answers, from which each lies ``reach``
    away. Where all numbers are one, the number itself speaks for what is more frequent with it than ``base``."""
    x = np.clip(x, *np.quantile(x, (0.01, 0.99)))  # a product's number may run away once
    if np.ptp(x) > 0 and (good.all() or not good.any()):
        return 1.0, float(x.mean()), float(np.ptp(x))  # nothing to tell apart
    if np.ptp(x) == 0:
        sign = 1.0 if float(good.mean()) >= base else -1.0
        own = float(np.sign(x[0])) or 1.0
        return sign * own, 0.0, max(abs(float(x[0])), 1e-9)
    up, down = float(x[good].mean()), float(x[~good].mean())
    return (1.0 if up >= down else -1.0), (up + down) / 2, max(abs(up - down) / 2, 1e-9)


def _effective(right: Flags, who: Integers) -> float:
    """How many independent answers the events are worth: from the variance between persons, between 1 and their number;
    where all agree or none does, a person counts once."""
    share = float(right.mean())
    clusters, place = np.unique(who, return_inverse=True)
    if share in (0.0, 1.0):
        return float(len(clusters))
    off = np.bincount(place, right - share)
    variance = float((off**2).sum()) / len(right) ** 2 * len(clusters) / (len(clusters) - 1)
    return max(1.0, min(float(len(right)), share * (1 - share) / max(variance, 1e-12)))
