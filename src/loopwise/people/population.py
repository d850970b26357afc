"""Who the people are: persons of the groups that a population's settings name, drawn by a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from loopwise.people.behaviors.table import BEHAVIORS, AnyGroup
from loopwise.people.settings import PopulationSettings, load
from loopwise.people.words import Account, Voice


@dataclass(frozen=True)
class Person:
    """One simulated person, or one account of somebody's."""

    id: str
    group: str
    settings: AnyGroup
    voice: Voice


def population(n: int, seed: int, settings: PopulationSettings | None = None) -> list[Person]:
    """``n`` people of the groups with a share, exact up to rounding, and on top the accounts of groups with a count.

    The default is 20 % noisy (wrong in 10 to 30 % of cases), 10 % careless (their thumbs are coins), the rest honest.
    The seed decides who is which; groups with a count change nothing about the others.
    """
    settings = settings or load("default")
    rng = random.Random(f"people {seed}")
    names = [name for name, size in _sizes(settings.groups, n).items() for _ in range(size)]
    rng.shuffle(names)
    names += [name for name, group in settings.groups.items() for _ in range(group.count or 0)]
    ids = [f"person-{seed}-{i}" for i in range(len(names))]
    members = {name: tuple(id for id, own in zip(ids, names, strict=True) if own == name) for name in settings.groups}
    return [
        _person(Account(id, members[name]), name, settings.groups[name], rng)
        for id, name in zip(ids, names, strict=True)
    ]


def _person(account: Account, name: str, group: AnyGroup, rng: random.Random) -> Person:
    return Person(account.id, name, group, BEHAVIORS[group.behavior].voice(group, account, rng))


def _sizes(groups: Mapping[str, AnyGroup], n: int) -> dict[str, int]:
    """How many of ``n`` people each share makes, by largest remainder; of equal ones the larger share's."""
    shares = {name: group.share for name, group in groups.items() if group.share is not None}
    sizes = {name: math.floor(n * share + 1e-9) for name, share in shares.items()}
    by_rest = sorted(shares, key=lambda name: (round(sizes[name] - n * shares[name], 9), -shares[name]))
    for name in by_rest[: n - sum(sizes.values())]:
        sizes[name] += 1
    return sizes
