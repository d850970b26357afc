from __future__ import annotations

import random
from collections import Counter

import pytest
from scipy.stats import binom

from loopwise.people.population import Person, opinion, population

N = 20_000
FALSE_FAILURES = 1e-6  # of one limit below, were its seed drawn anew


def limits(n: int, p: float) -> tuple[float, float]:
    return binom.ppf(FALSE_FAILURES / 2, n, p), binom.isf(FALSE_FAILURES / 2, n, p)


def opinions(person: Person, right: bool):
    rng = random.Random(f"{person.kind} {right}")
    return [opinion(person, right, "42", lambda text: text == "42", rng) for _ in range(N)]


def test_shares_are_exact_and_the_seed_decides_who_is_who():
    people = population(40, seed=1)
    assert Counter(p.kind for p in people) == {"honest": 28, "noisy": 8, "careless": 4}
    assert len({p.id for p in people}) == 40
    assert population(40, seed=1) == people
    assert [p.kind for p in population(40, seed=2)] != [p.kind for p in people]
    assert {p.id for p in population(40, seed=2)}.isdisjoint({p.id for p in people})
    assert all(0.1 <= p.noise <= 0.3 for p in people if p.kind == "noisy")
    assert len(population(1, seed=1)) == 1


@pytest.mark.parametrize("noise", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("right", [True, False])
def test_thumbs_and_corrections_come_at_the_rates_that_the_person_says(noise: float, right: bool):
    said = opinions(Person("p", "noisy", noise, p_thumb=0.8, p_correct=0.4), right)
    thumbs = [o.thumb for o in said if o.thumb is not None]
    low, high = limits(N, 0.8)
    assert low <= len(thumbs) <= high
    low, high = limits(len(thumbs), noise)
    assert low <= sum((thumb > 0) != right for thumb in thumbs) <= high
    corrections = [o.correction for o in said if o.correction is not None]
    low, high = limits(N, 0.4 * (noise if right else 1 - noise))
    assert low <= len(corrections) <= high
    # Whoever corrects a right answer is wrong; whoever corrects a wrong one is wrong by their noise.
    low, high = limits(len(corrections), 1.0 if right else noise)
    assert low <= sum(c != "42" for c in corrections) <= high


def test_a_thumb_and_a_correction_never_contradict_each_other():
    for right in (True, False):
        said = opinions(Person("p", "noisy", 0.3, 0.9, 0.9), right)
        assert not any(o.thumb == 1 and o.correction is not None for o in said)


def test_nobody_corrects_where_no_answer_is_known():
    person = Person("p", "honest", 0.0, 1.0, 1.0)
    assert opinion(person, False, None, lambda text: False, random.Random(1)).correction is None


def test_a_wrong_correction_is_never_right_by_chance():
    person = Person("p", "noisy", 1.0, 1.0, 1.0)
    rng = random.Random(1)
    said = [opinion(person, True, "7", lambda text: text in "0123456789", rng).correction for _ in range(300)]
    assert all(c is None or c not in "0123456789" for c in said)
    assert any(c is not None for c in said)
