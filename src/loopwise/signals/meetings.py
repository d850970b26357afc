"""Where accounts meet: pairs that hold the same thing, in time that grows with the number of things, not of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loopwise.signals.evidence import Flags
from loopwise.stats.distributions import Integers

REACH = 8  # neighbors in the order of accounts that a holder is paired with; copies of one thing stand side by side


@dataclass(frozen=True)
class Meetings:
    """K meetings: rows ``one_K`` and ``other_K`` hold the same thing. ``pair_K`` is the pair's place among the Q pairs
    ``first_Q < second_Q`` of accounts."""

    one_K: Integers
    other_K: Integers
    pair_K: Integers
    first_Q: Integers
    second_Q: Integers


def meetings(thing_N: Integers, account_N: Integers, usable_N: Flags) -> Meetings:
    """All pairs of usable rows of two accounts with the same thing, as far as ``REACH`` goes. Each account holds a
    thing at most once."""
    rows = np.flatnonzero(usable_N)
    rows = rows[np.lexsort((account_N[rows], thing_N[rows]))]
    ones: list[Integers] = []
    others: list[Integers] = []
    for step in range(1, REACH + 1):
        meet = thing_N[rows[step:]] == thing_N[rows[:-step]]
        ones.append(rows[:-step][meet])
        others.append(rows[step:][meet])
    one, other = np.concatenate(ones), np.concatenate(others)
    width = int(account_N.max(initial=0)) + 1
    pair, place = np.unique(account_N[one] * width + account_N[other], return_inverse=True)
    return Meetings(one, other, place, pair // width, pair % width)


def joined_groups(first: Integers, second: Integers) -> dict[int, int]:
    """Each account that is in a pair → the smallest account that it hangs together with."""
    parent: dict[int, int] = {}

    def root(account: int) -> int:
        while parent.setdefault(account, account) != account:
            parent[account] = parent[parent[account]]
            account = parent[account]
        return account

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {account: root(account) for account in sorted(parent)}
