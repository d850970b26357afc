from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm, permutation_test

from loopwise.errors import UsageError
from loopwise.stats.paired import (
    count_discordant,
    mcnemar_superiority,
    noninferiority,
    sign_flip_superiority,
    tango_interval,
    tango_z,
)

tables = st.integers(1, 200).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda b: st.tuples(st.just(b), st.integers(0, n - b), st.just(n)))
)


def test_discordant_answers_are_counted_and_partial_credit_is_wrong() -> None:
    counts = count_discordant([1, 1, 0, 0.9, 0, 1], [1, 0, 1, 1, 0.5, 0.99])
    assert (counts.gains, counts.losses, counts.n) == (2, 2, 6)
    assert count_discordant([0, 0, 0, 1], [1, 1, 0, 0]).difference == 0.25


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_on_discordant_answers(gains: int, losses: int) -> None:
    assume(gains + losses > 0)
    theirs = binomtest(gains, gains + losses, 0.5, alternative="greater").pvalue
    assert mcnemar_superiority(gains, losses) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("gains", "losses"), [(0, 0), (5, 0), (3, 4), (9, 2)])
def test_mcnemar_is_the_share_of_all_coin_patterns_with_as_many_gains(gains: int, losses: int) -> None:
    patterns = list(product([0, 1], repeat=gains + losses))
    assert mcnemar_superiority(gains, losses) == pytest.approx(sum(sum(p) >= gains for p in patterns) / len(patterns))


@pytest.mark.parametrize(
    ("gains", "losses", "n", "low", "high"),
    [
        # airway hyper-responsiveness, Fagerland, Lydersen and Laake 2014 (Statistics in Medicine 33:2850), table II;
        # four decimals as R's ratesci prints them for the method it calls AS(Tango)
        (1, 7, 21, -0.5172, -0.0260),
        (7, 1, 21, 0.0260, 0.5172),
    ],
)
def test_the_score_interval_gives_the_published_example(
    gains: int, losses: int, n: int, low: float, high: float
) -> None:
    interval = tango_interval(gains, losses, n, 0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def likelihood_z(gains: int, losses: int, n: int, difference: float) -> float:
    """The score statistic from first principles: the nuisance parameter is found by maximizing the likelihood."""
    agree = n - gains - losses

    def loss(p_loss: float) -> float:
        cells = ((gains, p_loss + difference), (losses, p_loss), (agree, 1 - 2 * p_loss - difference))
        return -sum(count * np.log(max(share, 1e-300)) for count, share in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    p_loss = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = n * (2 * p_loss + difference - difference**2)
    return (gains - losses - n * difference) / variance**0.5


@given(tables, st.floats(-0.9, 0.9))
def test_the_score_statistic_is_the_one_at_the_constrained_maximum_of_the_likelihood(
    table: tuple[int, int, int], difference: float
) -> None:
    gains, losses, n = table
    assume(gains > 0 and losses > 0 and gains + losses < n)  # an inner maximum, which a general optimizer finds well
    assert float(tango_z(*table, difference)) == pytest.approx(likelihood_z(*table, difference), rel=1e-3, abs=1e-3)


@given(tables, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_score_interval_mirrors_when_the_releases_swap_and_its_limits_solve_its_equation(
    table: tuple[int, int, int], level: float
) -> None:
    gains, losses, n = table
    ours, swapped = tango_interval(gains, losses, n, level), tango_interval(losses, gains, n, level)
    assert (ours.low, ours.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-7)
    assert -1 <= ours.low <= ours.estimate <= ours.high <= 1
    z = norm.ppf(0.5 + level / 2)
    if losses < n:
        assert float(tango_z(gains, losses, n, ours.low)) == pytest.approx(z, abs=1e-4)


@given(tables, st.floats(0.01, 0.5), st.sampled_from([0.01, 0.025, 0.05]))
def test_noninferiority_is_proved_exactly_where_the_lower_limit_clears_the_margin(
    table: tuple[int, int, int], margin: float, alpha: float
) -> None:
    low = tango_interval(*table, 1 - 2 * alpha).low
    assume(abs(low + margin) > 1e-8)
    assert (noninferiority(*table, margin) < alpha) == (low > -margin)


def test_sign_flips_over_few_questions_are_enumerated() -> None:
    # differences +1, +0.5, +0.25 and one of 0: of the 8 patterns of signs only the observed one sums to 1.75
    assert sign_flip_superiority([0, 0, 0.5, 0.3], [1, 0.5, 0.75, 0.3]) == 1 / 8
    assert sign_flip_superiority([0.4, 0.6], [0.4, 0.6]) == 1.0


@pytest.mark.parametrize("n", [10, 40])
def test_sign_flips_agree_with_scipys_paired_permutation_test(n: int) -> None:
    rng = np.random.default_rng(n)
    champion, candidate = rng.uniform(0, 0.9, n), rng.uniform(0.05, 1, n)
    theirs = permutation_test(
        (candidate, champion),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=20_000,
        rng=1,
    )
    assert sign_flip_superiority(champion, candidate) == pytest.approx(theirs.pvalue, abs=0.02 if n > 16 else 1e-9)


def test_sign_flips_on_right_and_wrong_are_the_exact_test() -> None:
    champion, candidate = [0] * 9 + [1] * 3 + [1] * 20, [1] * 9 + [0] * 3 + [1] * 20
    assert sign_flip_superiority(champion, candidate) == pytest.approx(mcnemar_superiority(9, 3), abs=1e-12)


def test_unpaired_lists_and_impossible_counts_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(2,\).*\(3,\)"):
        count_discordant([1, 0], [1, 0, 1])
    with pytest.raises(UsageError, match="4 gains and 3 losses cannot come from 6"):
        tango_interval(4, 3, 6)
    with pytest.raises(UsageError, match="margin"):
        noninferiority(4, 3, 60, 0.0)
