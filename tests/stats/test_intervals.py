from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom, binomtest

from loopwise.errors import UsageError
from loopwise.stats.intervals import bounded_mean, clopper_pearson, mean_interval, wilson

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts, levels)
def test_wilson_and_clopper_pearson_agree_with_scipy(right_n: tuple[int, int], level: float) -> None:
    right, n = right_n
    for interval, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        ours, theirs = interval(right, n, level), binomtest(right, n).proportion_ci(level, method=method)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_gives_newcombes_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 at 95 %
    interval = wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("n", [5, 30, 200])
def test_clopper_pearson_never_covers_less_than_it_says(n: int) -> None:
    intervals = [clopper_pearson(k, n, 0.9) for k in range(n + 1)]
    for truth in np.linspace(0.01, 0.99, 99):
        chance = sum(binom.pmf(k, n, truth) for k, i in enumerate(intervals) if i.low <= truth <= i.high)
        assert chance >= 0.9


@given(counts)
def test_bounded_mean_is_agresti_and_coulls_interval_on_zeros_and_ones(right_n: tuple[int, int]) -> None:
    right, n = right_n
    z = 1.959963984540054
    padded = (right + z * z / 2) / (n + z * z)
    half = z * (padded * (1 - padded) / (n + z * z)) ** 0.5
    ours = bounded_mean([1.0] * right + [0.0] * (n - right))
    assert (ours.low, ours.high) == pytest.approx((max(0, padded - half), min(1, padded + half)), abs=1e-12)


SHAPES = {
    "skewed to 1": lambda rng, size: rng.beta(8, 0.5, size),
    "skewed to 0": lambda rng, size: rng.beta(0.2, 3, size),
    "flat": lambda rng, size: rng.uniform(0, 1, size),
    "partial credit": lambda rng, size: rng.choice([0.0, 0.01, 0.5, 1.0], size, p=[0.2, 0.3, 0.1, 0.4]),
    "rarely credited": lambda rng, size: rng.choice([0.0, 0.5], size, p=[0.97, 0.03]),
}
MEANS = {
    "skewed to 1": 8 / 8.5,
    "skewed to 0": 0.2 / 3.2,
    "flat": 0.5,
    "partial credit": 0.453,
    "rarely credited": 0.015,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [30, 100, 400])
def test_bounded_mean_covers_the_truth_as_often_as_it_says(shape: str, n: int) -> None:
    # 2,000 draws: a true coverage of 0.95 falls below 0.93 with probability 4e-5
    rows = SHAPES[shape](np.random.default_rng(n), (2000, n))
    intervals = [bounded_mean(row) for row in rows]
    assert np.mean([i.low <= MEANS[shape] <= i.high for i in intervals]) >= 0.93


@pytest.mark.parametrize(
    ("scores", "method"),
    [
        ([1.0] * 5 + [0.0] * 5, "wilson"),
        ([1.0] * 4 + [0.0] * 96, "clopper-pearson"),
        ([1.0] * 100, "clopper-pearson"),
        ([1.0] * 50 + [0.5], "agresti-coull mean"),
    ],
)
def test_mean_interval_says_which_method_it_chose(scores: list[float], method: str) -> None:
    interval = mean_interval(scores)
    assert interval.method == method
    assert interval.estimate == pytest.approx(sum(scores) / len(scores))
    assert interval.n == len(scores)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), levels)
def test_an_interval_lies_in_0_1_and_widens_with_its_level(scores: list[float], level: float) -> None:
    interval = mean_interval(scores, level)
    assert 0 <= interval.low < interval.high <= 1
    narrow = mean_interval(scores, level / 2)
    assert interval.low <= narrow.low + 1e-12
    assert interval.high >= narrow.high - 1e-12


@pytest.mark.parametrize("scores", [[], [[0.5]], [1.2], [float("nan")], [-0.1, 0.5]])
def test_what_is_no_list_of_scores_is_refused(scores: list[float]) -> None:
    with pytest.raises(UsageError):
        mean_interval(scores)


def test_an_impossible_proportion_or_level_is_refused_with_its_value() -> None:
    with pytest.raises(UsageError, match="7 right of 5"):
        wilson(7, 5)
    with pytest.raises(UsageError, match=r"1\.5"):
        clopper_pearson(1, 5, 1.5)
