"""Copy-cats: accounts that repeat each other's feedback, word for word on the same prompts.

Honest people meet, too: they are asked the same, and there is one right answer. So two things are asked. Do two
accounts say the same of the same far more often than chance brings them together? Expected is what each would meet if
it drew its statements by how common they are (the configuration model of Chung and Lu, 2002); the excess is tested by
its Poisson tail. Such accounts are alike, and share a cap. And do alike accounts also say the same nearly every time
they meet, where others who meet do not? Then they are copies: people of one office meet often, but do not always agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.evidence import Flags
from loopwise.signals.meetings import joined_groups, meetings
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.distributions import Integers, binomial_at_least, poisson_at_least

FEWEST = 5  # statements in common: below that, two people of one office look alike
SHARE = 0.5  # of the statements of the one who made fewer: copying is most of what a copy does
ERROR = 0.001  # that any pair of honest accounts is called alike, or any honest group copies, over all of them together
SAME = 0.9  # of the meetings of copies
MOST_ALIKE = 0.5  # of the people: where more look alike, prompts are shared by design, and likeness proves nothing


@dataclass(frozen=True)
class Statements:
    """N statements, each once per account: ``what_N`` is a hash of all that is said, ``about_N`` of what it is said of
    (prompt, and whether a text or a mark is given)."""

    who_N: Integers
    what_N: Integers
    about_N: Integers


@dataclass(frozen=True)
class Alike:
    """``group_of`` account → group, of all alike accounts; ``copies`` of them account → (statements that are another's,
    too, all its statements)."""

    group_of: Mapping[int, int]
    copies: Mapping[int, tuple[int, int]]
    by_design: bool

    def suspicions(self) -> Iterator[Suspicion]:
        """Of every copy, unless likeness is usual here."""
        sizes = np.bincount(list(self.group_of.values())) if self.group_of else np.zeros(0, np.int64)
        for person, (shared, of) in self.copies.items():
            size = int(sizes[self.group_of[person]])
            yield Suspicion(
                person,
                "copy-cat",
                f"copy-cat: {shared} of its {of} statements are word for word those of another account, far more than "
                f"chance gives; {size} accounts hang together so",
                {"repeated": shared, "statements": of, "accounts": size},
            )


def alike(said: Statements) -> Alike:
    """Groups of accounts that meet too often, and those among them that are copies."""
    if not len(said.who_N):
        return Alike({}, {}, by_design=False)
    _, place_N, holders = np.unique(said.what_N, return_inverse=True, return_counts=True)
    made_P = np.bincount(said.who_N)
    met = meetings(said.what_N, said.who_N, (holders[place_N] > 1) & (made_P[said.who_N] >= FEWEST))
    shared_Q = np.bincount(met.pair_K, minlength=len(met.first_Q))
    fewer_Q = np.minimum(made_P[met.first_Q], made_P[met.second_Q])
    chance = float((holders * (holders - 1.0)).sum()) / float(len(said.who_N)) ** 2
    expected_Q = made_P[met.first_Q] * made_P[met.second_Q] * chance
    active = int((made_P >= FEWEST).sum())
    pairs = max(1, active * (active - 1) // 2)
    found = (shared_Q >= FEWEST) & (shared_Q >= SHARE * fewer_Q)
    found &= poisson_at_least(shared_Q, expected_Q) * pairs <= ERROR
    group_of = joined_groups(met.first_Q[found], met.second_Q[found])
    if len(group_of) > MOST_ALIKE * max(1, active):
        return Alike(group_of, {}, by_design=True)
    copying = _copying(said, group_of)
    most: dict[int, tuple[int, int]] = {}
    for a, b, n in zip(
        met.first_Q[found].tolist(), met.second_Q[found].tolist(), shared_Q[found].tolist(), strict=True
    ):
        for person in (a, b):
            if group_of[person] in copying:
                most[person] = max(most.get(person, (0, 0)), (n, int(made_P[person])))
    return Alike(group_of, dict(sorted(most.items())), by_design=False)


def _copying(said: Statements, group_of: Mapping[int, int]) -> set[int]:
    """The groups whose members say the same nearly every time they meet, and far more often than others who meet."""
    if not group_of:
        return set()
    group_P = np.full(int(said.who_N.max()) + 1, -1)
    group_P[list(group_of)] = list(group_of.values())
    order = np.lexsort((said.who_N, group_P[said.who_N], said.about_N))
    who, about, what = said.who_N[order], said.about_N[order], said.what_N[order]
    meet = (about[1:] == about[:-1]) & (who[1:] != who[:-1])  # neighbors alone: each member counts once a prompt
    same: Flags = what[1:] == what[:-1]
    inside = meet & (group_P[who[1:]] >= 0) & (group_P[who[1:]] == group_P[who[:-1]])
    usual = (float((same & meet & ~inside).sum()) + 1) / (float((meet & ~inside).sum()) + 2)
    n_G = np.bincount(group_P[who[1:]][inside], minlength=len(group_P))
    same_G = np.bincount(group_P[who[1:]][inside & same], minlength=len(group_P))
    unlikely = binomial_at_least(same_G, n_G, min(usual, SAME)) * len(set(group_of.values())) <= ERROR
    return set(np.flatnonzero((n_G >= FEWEST) & (same_G >= SAME * n_G) & unlikely).tolist())
