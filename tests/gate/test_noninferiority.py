"""The conformance test of an anchor's check, and the rules of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from loopwise.gate.noninferiority import noninferiority
from loopwise.gate.pairing import PairedScores, pair
from loopwise.gate.settings import GateSettings
from loopwise.stats.power import noninferiority_power
from loopwise.types import Suite, SuiteScores

DEFAULT = GateSettings()
TRIALS = 1500
reuse_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("n", "gains", "losses", "margin", "result"),
    [
        (49, 20, 0, 0.05, "not proved"),  # below min_questions
        (52, 0, 0, 0.05, "passed"),  # the fewest questions that clear 5 points without one difference
        (51, 0, 0, 0.05, "not proved"),
        (1000, 60, 70, 0.05, "passed"),  # one point worse, but proved less than five
        (1000, 60, 110, 0.02, "failed"),  # five points worse, shown
        (200, 10, 15, 0.05, "not proved"),  # nothing shown; equals would clear it with a probability of about 0.6
        (1000, 60, 95, 0.05, "failed"),  # 3.5 points worse: a loss is shown, and the margin is not cleared
        (300, 11, 19, 0.05, "failed"),  # equals would have cleared it with probability 0.9
    ],
)
def test_the_result_follows_the_stated_rules(
    make_pair: Callable[..., PairedScores], n: int, gains: int, losses: int, margin: float, result: str
) -> None:
    check = noninferiority(make_pair(n, gains, losses, role="anchor", margin=margin), DEFAULT)
    assert check.result == result
    assert check.threshold == -margin
    assert check.passed == (n >= 50 and check.low > -margin)


def simulated(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores], difference: float, seed: int
) -> Counter[str]:
    """Results of TRIALS trials on 400 questions: 20 % discordant, margin 5 points."""
    suite, rng = make_suite("words", 400, role="anchor", margin=0.05), np.random.default_rng(seed)
    seen: Counter[str] = Counter()
    for _ in range(TRIALS):
        cell = rng.random(400)
        gain, loss = cell < 0.1 + difference / 2, cell > 0.9 + difference / 2
        both = (cell > 0.3) & (cell < 0.7)
        scores = make_scores(suite, "a", both | loss), make_scores(suite, "b", both | gain)
        seen[noninferiority(pair(suite, *scores), DEFAULT).result] += 1
    return seen


def test_a_candidate_worse_by_the_margin_passes_at_most_about_as_often_as_the_level(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]
) -> None:
    # exact rate 0.0503; with 1,500 trials a share above 0.069 has probability 5e-4
    seen = simulated(make_suite, make_scores, -0.05, seed=30)
    assert 0.03 <= seen["passed"] / TRIALS <= 0.069


def test_an_equal_candidate_passes_as_often_as_its_power_and_is_rarely_said_to_have_failed(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]
) -> None:
    equal = simulated(make_suite, make_scores, 0.0, seed=31)
    assert equal["passed"] / TRIALS == pytest.approx(noninferiority_power(400, 0.2, 0.0, 0.05), abs=0.035)
    # power is 0.72, so most that do not pass are "not proved"; false failures are a loss shown (at most 5 %), or so few
    # discordant answers that the power looks like 0.8
    assert equal["failed"] / TRIALS <= 0.08
    assert equal["not proved"] > equal["failed"]


def test_a_better_candidate_passes_nearly_always(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]
) -> None:
    assert simulated(make_suite, make_scores, 0.05, seed=32)["passed"] / TRIALS >= 0.99


@reuse_fixtures
@given(st.integers(0, 40), st.integers(0, 40), st.integers(80, 400), st.randoms())
def test_swapping_flips_the_estimate_and_the_order_of_questions_changes_nothing(
    make_pair: Callable[..., PairedScores],
    make_scores: Callable[..., SuiteScores],
    gains: int,
    losses: int,
    n: int,
    random,
) -> None:
    paired = make_pair(n, gains, losses, role="anchor")
    ours = noninferiority(paired, DEFAULT)
    swapped = noninferiority(pair(paired.suite, paired.candidate, paired.champion), DEFAULT)
    assert ours.estimate == -swapped.estimate
    assert ours.low == pytest.approx(-swapped.high, abs=1e-7)
    order = list(range(n))
    random.shuffle(order)
    shuffled = (
        make_scores(paired.suite, given.release, [given.scores[i] for i in order])
        for given in (paired.champion, paired.candidate)
    )
    assert noninferiority(pair(paired.suite, *shuffled), DEFAULT) == ours


@reuse_fixtures
@given(st.integers(0, 40), st.integers(0, 40), st.integers(80, 400), st.floats(0.01, 0.2), st.floats(0.001, 0.2))
def test_a_wider_margin_never_turns_a_pass_into_anything_else(
    make_pair: Callable[..., PairedScores], gains: int, losses: int, n: int, margin: float, wider: float
) -> None:
    if noninferiority(make_pair(n, gains, losses, role="anchor", margin=margin), DEFAULT).passed:
        assert noninferiority(make_pair(n, gains, losses, role="anchor", margin=margin + wider), DEFAULT).passed
