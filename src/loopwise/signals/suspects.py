"""Who is kept out, and why: the tests in the order in which they lean on each other, and what operators decided.

Bursts and copy-cats are seen without knowing what is true. Who they name no longer counts when reliability is worked
out. Then the surest evidence comes first: who is refuted by verifiers; who agrees too much; who pushes one answer that
others refute; who is refuted by others. After each, all is worked out anew without those who were named, until nobody
is added: where liars outvote an honest person, they must be gone before that person is judged by the others' word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.agreement import below_chance, collusion
from loopwise.signals.bursts import bursts
from loopwise.signals.copycats import Statements, alike
from loopwise.signals.evidence import HUMAN, IMPLICIT, NOBODY, Evidence, Flags
from loopwise.signals.meetings import joined_groups
from loopwise.signals.pushing import pushing
from loopwise.signals.raters import Jury, jury
from loopwise.signals.ratings import Scales, neutral_place, scales
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.distributions import Reals
from loopwise.store.quarantine import Decision
from loopwise.types import JsonObject

_ROUNDS = 12  # of working it out anew; each takes out at least one person, mostly all of a kind
STATEMENTS = ("thumbs", "rating", "correction", "preference", "edit")


@dataclass(frozen=True)
class Kept:
    """What is kept out and what is left: suspicions by person, groups, and the final reading of ratings and raters."""

    out: Mapping[int, tuple[str, JsonObject]]  # person → (reason, evidence)
    groups: Mapping[int, int]
    found: Counter[str]  # persons by the test that named them first
    alike_by_design: bool
    scales: Scales
    strength_N: Reals
    counted_N: Flags
    jury: Jury


def kept_out(evidence: Evidence, decided: Mapping[str, Decision]) -> Kept:
    """``decided`` by person stands above whatever is found."""
    place = {name: person for person, name in enumerate(evidence.people)}
    said_so = {place[name]: decision for name, decision in decided.items() if name in place}
    out: dict[int, tuple[str, JsonObject]] = {
        person: (f"decided by {decision.who}: {decision.why}", {"at": decision.at})
        for person, decision in said_so.items()
        if decision.out
    }
    found: Counter[str] = Counter()

    def add(suspicions: Iterable[Suspicion]) -> bool:
        new = [one for one in suspicions if one.person not in out and one.person not in said_so]
        for one in new:
            if one.person not in out:
                out[one.person] = (one.reason, one.evidence)
                found[one.what] += 1
        return bool(new)

    rows = _statements(evidence)
    who, at = evidence.person_N[rows], evidence.at_N[rows]
    likes = alike(_once(evidence, rows))
    add(likes.suspicions())
    add(bursts(who, at, likes.group_of))
    edges = list(likes.group_of.items())
    counted, (scale, strength, fitted) = _anew(evidence, out)
    for _ in range(_ROUNDS):
        together = collusion(fitted)
        edges += together.group_of.items()
        steps = (
            below_chance(fitted, proved=True),
            together.suspicions(),
            pushing(evidence, counted),
            below_chance(fitted, proved=False),
        )
        if not any(add(step) for step in steps):  # the first that names anybody
            break
        counted, (scale, strength, fitted) = _anew(evidence, out)
    groups = joined_groups(np.array([a for a, _ in edges]), np.array([b for _, b in edges]))
    return Kept(dict(sorted(out.items())), groups, found, likes.by_design, scale, strength, counted, fitted)


def _anew(evidence: Evidence, out: Mapping[int, object]) -> tuple[Flags, tuple[Scales, Reals, Jury]]:
    """(which rows count, what they give) without those who are out."""
    counted = ~np.isin(evidence.person_N, list(out))
    return counted, _read(evidence, counted)


def _statements(evidence: Evidence) -> Flags:
    by_people = np.isin(evidence.source_N, (HUMAN, IMPLICIT)) & (evidence.person_N != NOBODY)
    return evidence.of_kinds(*STATEMENTS) & by_people


def _once(evidence: Evidence, rows: Flags) -> Statements:
    """What was said, once per person: the better answer to the prompt, or the item and its mark."""
    worded = evidence.target_N[rows] != 0
    marked = evidence.item_N[rows] ^ (evidence.strength_N[rows] > 0)
    what = np.where(worded, evidence.target_N[rows], marked)
    about = evidence.prompt_N[rows] ^ worded
    who, what, about = np.unique(np.stack([evidence.person_N[rows], what, about]), axis=1)
    return Statements(who, what, about)


def _read(evidence: Evidence, counted: Flags) -> tuple[Scales, Reals, Jury]:
    """Scales from the ratings that count, strengths with ratings read by them, and the raters' fit on those."""
    rated = evidence.of_kinds("rating") & ~np.isnan(evidence.number_N)
    by_people = rated & counted & (evidence.source_N == HUMAN)
    found = scales(evidence.person_N[by_people], evidence.number_N[by_people], len(evidence.people))
    strength = evidence.strength_N.copy()
    human = rated & (evidence.source_N == HUMAN)
    if by_people.any():
        without = jury(evidence, strength, counted & ~rated)
        items, good = without.item_I, without.fit.good_I
        place = np.minimum(np.searchsorted(items, evidence.item_N[by_people]), max(0, len(items) - 1))
        both = items[place] == evidence.item_N[by_people] if len(items) else np.zeros(by_people.sum(), bool)
        common = found.common(evidence.person_N[by_people], evidence.number_N[by_people])
        found = found.parted_at(neutral_place(common[both], good[place[both]] > 0.5 if len(items) else both[both]))
        strength[human] = found.strength(evidence.person_N[human], evidence.number_N[human])
    return found, strength, jury(evidence, strength, counted)
