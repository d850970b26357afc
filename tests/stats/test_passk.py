from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from loopwise.errors import UsageError
from loopwise.stats.passk import pass_at_k


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_all_choices_of_k_attempts_that_hold_a_right_one(n_c_k: tuple[int, int, int]) -> None:
    n, c, k = n_c_k
    choices = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(choice) for choice in choices) / len(choices), abs=1e-12)


def test_it_takes_problems_with_different_numbers_of_attempts_at_once() -> None:
    # by hand: 1 - C(2,2)/C(4,2) = 5/6; nothing right; fewer wrong than k; c/n for k = n = 2 with one right: 1
    assert pass_at_k([4, 8, 3, 2], [2, 0, 2, 1], 2) == pytest.approx([5 / 6, 0, 1, 1], abs=1e-12)
    assert pass_at_k(16, np.array([4, 8]), 1) == pytest.approx([0.25, 0.5], abs=1e-12)


def test_it_stays_exact_for_many_attempts() -> None:
    # one right of 10,000: the chance of choosing it among 100 is exactly 100/10,000
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01, rel=1e-8)


def test_its_mean_over_draws_is_the_true_pass_at_k() -> None:
    truth, k = 0.2, 4
    right = np.random.default_rng(0).binomial(8, truth, size=200_000)
    assert pass_at_k(8, right, k).mean() == pytest.approx(1 - (1 - truth) ** k, abs=0.003)  # naive c/n gives 0.02 less


@pytest.mark.parametrize(("n", "c", "k"), [(4, 2, 5), (4, 2, 0), (4, 5, 1), (4, -1, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(UsageError):
        pass_at_k(n, c, k)
