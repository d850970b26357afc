"""Scales: values by hand, and what normalizing is for."""

from __future__ import annotations

import numpy as np
import pytest

from loopwise.signals.ratings import neutral_place, scales
from loopwise.store import Store
from town import exchange, record, said, weighed


def test_two_people_by_hand():
    """Person 0 rates 0.2, 0.4 (mean 0.3), person 1 rates 0.6, 0.8 (mean 0.7); the population's mean is 0.5.

    Within: 4 squares of 0.01 over 2 degrees of freedom, 0.02. Between: 0.04 - 0.02/2 = 0.03; within over between is
    less than 4, so a mean of two counts 2/(2 + 4), and variances are (5 * 0.02 + 0.02) / (5 + 1) = 0.02.
    """
    found = scales(np.array([0, 0, 1, 1]), np.array([0.2, 0.4, 0.6, 0.8]), 3)

    assert found.mean == pytest.approx(0.5)
    assert found.spread == pytest.approx(np.sqrt(0.02))
    assert found.mean_P == pytest.approx([0.5 - 0.2 / 3, 0.5 + 0.2 / 3, 0.5])
    assert found.spread_P == pytest.approx([np.sqrt(0.02)] * 3)
    # 0.4 of person 0 is 0.5 + (0.4 - 0.43333), so just below the middle; nobody's 0.4 stays 0.4
    assert found.strength(np.array([0, 1, -1]), np.array([0.4, 0.4, 0.4])) == pytest.approx(
        [2 * (0.4 - 0.43333 + 0.5) - 1, 2 * (0.4 - 0.56667 + 0.5) - 1, -0.2], abs=1e-4
    )


def test_one_rating_is_read_mostly_as_the_populations():
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 0.2, 50)
    who = np.repeat(np.arange(50), 20)
    place = np.clip(0.5 + shift[who] + rng.normal(0, 0.1, 1_000), 0, 1)
    found = scales(np.append(who, 50), np.append(place, 0.9), 51)

    moved = found.common(np.array([50]), np.array([0.9]))[0]
    assert 0.8 < moved < 0.9  # of the 0.4 above the mean, at most a fifth is taken for the person's habit
    assert found.mean_P[:50] == pytest.approx(0.5 + shift, abs=0.15)


def test_shifted_scales_say_the_same():
    """A mild and a severe person who rate the same answers alike, but for a shift by 0.3."""
    rng = np.random.default_rng(2)
    answers = rng.uniform(0, 0.6, 200)
    found = scales(np.repeat([0, 1], 200), np.concatenate([answers, answers + 0.3]), 2)

    mild, severe = (found.strength(np.full(200, person), answers + shift) for person, shift in ((1, 0.3), (0, 0.0)))
    assert mild == pytest.approx(severe, abs=0.02)


def test_each_person_s_strengths_rise_with_the_rating():
    found = scales(np.array([0] * 9 + [1]), np.array([1.0] * 8 + [0.0, 0.5]), 2)
    for person in (-1, 0, 1):
        strengths = found.strength(np.full(11, person), np.linspace(0, 1, 11))
        assert (np.diff(strengths) >= 0).all()
        assert (np.abs(strengths) <= 1).all()


def test_somebody_who_always_presses_one_key_says_little_with_it():
    rng = np.random.default_rng(3)
    found = scales(np.repeat([0, 1], 50), np.concatenate([np.ones(50), rng.uniform(0, 1, 50)]), 2)

    assert found.strength(np.array([0, 1]), np.array([1.0, 1.0])).tolist()[0] < 0.7


def test_no_ratings_leave_the_plain_scale():
    assert scales(np.zeros(0, np.int64), np.zeros(0), 2).strength(np.array([1]), np.array([0.75])) == pytest.approx(0.5)


def test_the_neutral_place_parts_good_from_bad_answers():
    common, good = np.concatenate([np.full(30, 0.9), np.full(30, 0.7)]), np.repeat([True, False], 30)

    assert neutral_place(common, good) == pytest.approx(0.8)
    assert neutral_place(common, ~good) == 0.5
    assert neutral_place(common[:40], good[:40]) == 0.5


def test_a_town_that_rates_high_is_read_by_what_its_ratings_go_with(sqlite_store: Store):
    """Everybody gives 5 to right answers and 4 to wrong ones; verifiers know which is which."""
    rows = []
    for n in range(120):
        right, id = n % 2 == 0, f"e{n}"
        rows += [
            exchange(id, f"q{n}", "a"),
            said(f"r{n}", "rating", 5 if right else 4, id, f"u{n % 7}", metadata={"scale": [1, 5]}),
            said(f"v{n}", "thumbs", 1 if right else -1, id, None, source="verifier"),
        ]
    record(sqlite_store, rows)

    weighing, signals = weighed(sqlite_store)

    assert 0.75 < weighing.report["ratings"]["neutral"] < 1.0
    assert all((signals[f"r{n}"].strength > 0) == (n % 2 == 0) for n in range(120))
