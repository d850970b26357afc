from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from loopwise.errors import UsageError
from loopwise.stats.paired import mcnemar_superiority, noninferiority
from loopwise.stats.power import (
    detectable_difference,
    noninferiority_power,
    noninferiority_questions,
    superiority_power,
    superiority_questions,
)


def enumerated(n: int, discordance: float, difference: float, test) -> float:
    """Sums the trinomial over every outcome, one by one: no cleverness shared with the code."""
    p_gain, p_loss = (discordance + difference) / 2, (discordance - difference) / 2
    total = 0.0
    for b in range(n + 1):
        for c in range(n - b + 1):
            if test(b, c):
                ways = math.comb(n, b) * math.comb(n - b, c)
                total += ways * p_gain**b * p_loss**c * (1 - p_gain - p_loss) ** (n - b - c)
    return total


@pytest.mark.parametrize(("n", "discordance", "difference"), [(25, 0.4, 0.3), (60, 0.3, 0.0), (40, 0.2, 0.2)])
def test_power_is_the_sum_over_every_outcome(n: int, discordance: float, difference: float) -> None:
    by_hand = enumerated(
        n,
        discordance,
        difference,
        lambda b, c: b + c > 0 and binomtest(b, b + c, alternative="greater").pvalue <= 0.05,
    )
    assert superiority_power(n, discordance, difference, 0.05) == pytest.approx(by_hand, abs=1e-9)
    by_hand = enumerated(n, discordance, difference, lambda b, c: noninferiority(b, c, n, 0.1) < 0.05)
    assert noninferiority_power(n, discordance, difference, 0.1, 0.05) == pytest.approx(by_hand, abs=1e-9)


def test_the_published_plan_two_points_at_twenty_percent_discordance_needs_about_3100_questions() -> None:
    n = noninferiority_questions(0.2, 0.02, alpha=0.05, power=0.8)
    # normal approximation by hand: 0.2 x (1.6449 + 0.8416)^2 / 0.02^2 = 3,091
    assert n is not None
    assert 3050 <= n <= 3150
    assert noninferiority_power(n, 0.2, 0.0, 0.02) >= 0.8


@pytest.mark.parametrize(("n", "passes"), [(500, 0.008), (5000, 0.82)])
def test_the_published_odds_of_a_three_point_candidate_against_three_anchors(n: int, passes: float) -> None:
    # stated as 0.8 % and 82 % by normal approximations at one-sided 5 %
    chance = superiority_power(n, 0.2, 0.03, 0.05) * noninferiority_power(n, 0.2, 0.0, 0.02, 0.05) ** 3
    assert chance == pytest.approx(passes, rel=0.15)


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("discordance", [0.02, 0.1, 0.5, 1.0])
def test_the_exact_test_never_finds_a_gain_that_is_not_there_more_often_than_its_level(
    n: int, discordance: float
) -> None:
    assert superiority_power(n, discordance, 0.0, 0.025) <= 0.025


@pytest.mark.parametrize("n", [50, 100, 200, 400, 1000])
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
def test_the_score_test_passes_a_candidate_worse_by_the_margin_about_as_often_as_its_level(
    n: int, margin: float
) -> None:
    # An approximation: at a nominal 5 % the exact rate over this grid stays below 5.8 % (worst: n = 100, margin 0.1)
    for discordance in (margin, 0.05, 0.1, 0.2, 0.4):
        if discordance >= margin:
            assert noninferiority_power(n, discordance, -margin, margin, 0.05) < 0.058


def test_power_matches_simulated_comparisons() -> None:
    rng, n = np.random.default_rng(7), 300
    outcomes = rng.multinomial(n, [0.13, 0.07, 0.8], size=20_000)
    table = {(b, c): mcnemar_superiority(b, c) <= 0.025 for b, c in {(int(b), int(c)) for b, c, _ in outcomes}}
    share = np.mean([table[int(b), int(c)] for b, c, _ in outcomes])
    assert superiority_power(n, 0.2, 0.06) == pytest.approx(share, abs=0.012)  # 3.5 standard errors


def test_the_detectable_difference_and_the_questions_needed_answer_each_other() -> None:
    difference = detectable_difference(658, 0.2)
    assert difference is not None
    assert difference == pytest.approx(0.05, abs=2e-4)
    assert superiority_power(658, 0.2, difference) == pytest.approx(0.8, abs=1e-3)
    n = superiority_questions(0.2, 0.05)
    assert n is not None
    assert n == pytest.approx(658, abs=10)
    assert superiority_power(n, 0.2, 0.05) >= 0.8


def test_what_cannot_be_shown_is_none_rather_than_a_number() -> None:
    assert detectable_difference(5, 0.2) is None  # with 5 questions no result reaches the level
    assert superiority_questions(0.2, 0.0) is None  # power never exceeds alpha
    assert noninferiority_questions(0.2, 0.05, difference=-0.05) is None


def test_two_releases_that_never_differ_need_only_enough_questions_for_the_interval() -> None:
    # z = sqrt(n m / (1 - m)) > 1.6449 at m = 0.05: n > 51.4
    assert noninferiority_power(51, 0.0, 0.0, 0.05) == 0.0
    assert noninferiority_power(52, 0.0, 0.0, 0.05) == pytest.approx(1.0)
    assert noninferiority_questions(0.0, 0.05) == 52


def test_an_impossible_truth_is_refused() -> None:
    with pytest.raises(UsageError, match="discordance"):
        superiority_power(100, 0.02, 0.05)
    with pytest.raises(UsageError, match="margin"):
        noninferiority_power(100, 0.2, 0.0, 1.0)
    with pytest.raises(UsageError, match="alpha"):
        superiority_power(100, 0.2, 0.1, 0.7)
