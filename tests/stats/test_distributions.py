from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom

from loopwise.stats.distributions import (
    binomial_at_least,
    binomial_critical,
    binomial_exactly,
    binomial_range,
    crossing,
)

shares = st.sampled_from([0.0, 1e-4, 0.2, 0.5, 0.97, 1.0])


@given(st.integers(0, 3000), shares)
def test_binomial_probabilities_agree_with_scipy(n: int, p: float) -> None:
    k = np.arange(-1, n + 3)
    assert binomial_at_least(k, n, p) == pytest.approx(binom.sf(k - 1, n, p), rel=1e-9, abs=1e-13)
    k = np.arange(n + 1)
    assert binomial_exactly(k, n, p) == pytest.approx(binom.pmf(k, n, p), rel=1e-7, abs=1e-13)


@given(st.integers(0, 2000), st.sampled_from([1e-4, 0.025, 0.05, 0.3]), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_critical_count_is_the_first_that_is_rare_enough(n: int, alpha: float, p: float) -> None:
    critical = int(binomial_critical(alpha, n, p))
    assert binom.sf(critical - 1, n, p) <= alpha
    if critical > 0:
        assert binom.sf(critical - 2, n, p) > alpha


@given(st.integers(1, 100_000), shares)
def test_the_range_leaves_out_less_than_the_tail(n: int, p: float) -> None:
    counts = binomial_range(n, p, 1e-9)
    assert binom.cdf(counts[0] - 1, n, p) <= 1e-9
    assert binom.sf(counts[-1], n, p) <= 1e-9
    assert counts[0] >= 0
    assert counts[-1] <= n


def test_a_crossing_is_found_where_the_function_changes_sign() -> None:
    assert crossing(lambda x: 2 - x * x, 0, 5) == pytest.approx(2**0.5, abs=1e-9)
