"""Copy-cats: accounts that repeat each other's feedback, word for word on the same prompts.

Honest people meet, too: they are asked the same, and there is one right answer. So what counts is not that two accounts
agree where they meet, but that they meet so often. Expected is what chance gives if each account drew its statements by
how common they are (the configuration model of Chung and Lu, 2002); the excess is tested by its Poisson tail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.meetings import joined_groups, meetings
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.distributions import Integers, poisson_at_least

FEWEST = 5  # statements in common: below that, two people of one office look alike
SHARE = 0.5  # of the statements of the one who made fewer: copying is most of what a copy does
ERROR = 0.001  # that any pair of honest accounts is called alike, over all pairs together (Bonferroni)
MOST_ALIKE = 1 / 3  # of the people: where more look alike, prompts are shared by design, and likeness proves nothing


@dataclass(frozen=True)
class Alike:
    """``group_of`` account → group; ``repeated`` account → (statements that others of its group made too, all)."""

    group_of: Mapping[int, int]
    repeated: Mapping[int, tuple[int, int]]
    by_design: bool

    def suspicions(self) -> Iterator[Suspicion]:
        """Of every member of a group, unless likeness is usual here."""
        if self.by_design:
            return
        for person, (shared, of) in self.repeated.items():
            size = sum(group == self.group_of[person] for group in self.group_of.values())
            yield Suspicion(
                person,
                "copy-cat",
                f"copy-cat: {shared} of its {of} statements are word for word those of another account, far more than "
                f"chance gives; {size} accounts hang together so",
                {"repeated": shared, "statements": of, "accounts": size},
            )


def alike(statement_N: Integers, who_N: Integers) -> Alike:
    """Groups of accounts that repeat each other; N statements, each by its hash and its account, once per account."""
    if not len(who_N):
        return Alike({}, {}, by_design=False)
    _, place_N, holders = np.unique(statement_N, return_inverse=True, return_counts=True)
    made_P = np.bincount(who_N)
    common = holders[place_N] > 1
    met = meetings(statement_N, who_N, common & (made_P[who_N] >= FEWEST))
    shared_Q = np.bincount(met.pair_K, minlength=len(met.first_Q))
    fewer_Q = np.minimum(made_P[met.first_Q], made_P[met.second_Q])
    chance = float((holders * (holders - 1.0)).sum()) / float(len(who_N)) ** 2
    expected_Q = made_P[met.first_Q] * made_P[met.second_Q] * chance
    active = int((made_P >= FEWEST).sum())
    pairs = max(1, active * (active - 1) // 2)
    found = (shared_Q >= FEWEST) & (shared_Q >= SHARE * fewer_Q)
    found &= poisson_at_least(shared_Q, expected_Q) * pairs <= ERROR
    group_of = joined_groups(met.first_Q[found], met.second_Q[found])
    most: dict[int, tuple[int, int]] = {}
    for a, b, n in zip(
        met.first_Q[found].tolist(), met.second_Q[found].tolist(), shared_Q[found].tolist(), strict=True
    ):
        for person in (a, b):
            most[person] = max(most.get(person, (0, 0)), (n, int(made_P[person])))
    return Alike(group_of, dict(sorted(most.items())), by_design=len(group_of) > MOST_ALIKE * max(1, active))
