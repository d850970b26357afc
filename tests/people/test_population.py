from __future__ import annotations

from collections import Counter

import pytest

from loopwise.people.population import population
from loopwise.people.settings import parse

NOISY = {
    "person-0-0": 0.2635,
    "person-0-2": 0.2892,
    "person-0-10": 0.2002,
    "person-0-14": 0.2222,
    "person-0-20": 0.1658,
    "person-0-23": 0.2757,
    "person-0-31": 0.2146,
    "person-0-35": 0.2125,
}
CARELESS = ["person-0-18", "person-0-30", "person-0-34", "person-0-36"]
HONEST = "[groups.honest]\nbehavior = 'honest'\nshare = 1.0\n"


def test_shares_are_exact_and_the_seed_decides_who_is_who():
    people = population(40, seed=1)
    assert Counter(p.group for p in people) == {"honest": 28, "noisy": 8, "careless": 4}
    assert len({p.id for p in people}) == 40
    assert population(40, seed=1) == people
    assert [p.group for p in population(40, seed=2)] != [p.group for p in people]
    assert {p.id for p in population(40, seed=2)}.isdisjoint({p.id for p in people})


def test_the_demos_people_stay_who_they_are():
    """The published gain of the demo rests on them: noisy ones, and their error rates, of the seed 0."""
    people = population(40, seed=0)
    noisy = {p.id: round(p.voice.error, 4) for p in people if p.group == "noisy"}  # type: ignore[attr-defined]
    assert noisy == NOISY
    assert [p.id for p in people if p.group == "careless"] == CARELESS


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (1, {"honest": 1}),
        (3, {"honest": 2, "noisy": 1}),
        (5, {"honest": 4, "noisy": 1}),
        (7, {"honest": 5, "noisy": 1, "careless": 1}),
    ],
)
def test_what_does_not_divide_goes_to_the_largest_remainders(n: int, sizes: dict[str, int]):
    """By hand for shares of 0.7, 0.2 and 0.1: 7 people are 4.9, 1.4 and 0.7."""
    assert Counter(p.group for p in population(n, seed=1)) == sizes


def test_accounts_come_on_top_and_change_nothing_about_the_others():
    some = "[groups.cats]\nbehavior = 'copy_cat'\ncount = 3\n"
    noisy = "[groups.noisy]\nbehavior = 'noisy'\nshare = 0.5\n"
    half = HONEST.replace("1.0", "0.5") + noisy
    without, with_cats = population(10, 4, parse(half, "x")), population(10, 4, parse(some + half, "x"))
    assert with_cats[:10] == without
    assert Counter(p.group for p in with_cats) == {"honest": 5, "noisy": 5, "cats": 3}
    leader, *followers = with_cats[10:]
    assert leader.voice.followers == tuple(p.id for p in followers)  # type: ignore[attr-defined]
