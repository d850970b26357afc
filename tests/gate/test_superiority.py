"""The conformance test of the target's check, and the rules of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from loopwise.gate.pairing import PairedScores, pair
from loopwise.gate.settings import GateSettings
from loopwise.gate.superiority import superiority
from loopwise.types import Suite, SuiteScores

DEFAULT = GateSettings()
answers = st.integers(50, 120).flatmap(
    lambda n: st.tuples(*(st.lists(st.booleans(), min_size=n, max_size=n) for _ in range(2)))
)
reuse_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.mark.parametrize(
    ("n", "gains", "losses", "result"),
    [
        (49, 40, 0, "not proved"),  # below min_questions, whatever they say
        (49, 0, 40, "not proved"),
        (100, 12, 2, "passed"),  # p = 106/16384 = 0.0065
        (100, 9, 3, "not proved"),  # p = 299/4096 = 0.073, and 12 discordant of 100 show 5 points 29 % of the time
        (100, 3, 20, "failed"),  # a loss is shown
        (1000, 50, 50, "failed"),  # 100 discordant of 1,000 show 5 points nearly always
        (200, 0, 0, "failed"),  # ten gains and no loss, which 5 points mean at least, would have been shown
    ],
)
def test_the_result_follows_the_stated_rules(
    make_pair: Callable[..., PairedScores], n: int, gains: int, losses: int, result: str
) -> None:
    check = superiority(make_pair(n, gains, losses), DEFAULT)
    assert check.result == result
    assert check.estimate == pytest.approx((gains - losses) / n)
    assert check.threshold == 0
    assert (check.detail["gains"], check.detail["losses"], check.n) == (gains, losses, n)


def test_the_figures_of_one_check_are_those_worked_by_hand(make_pair: Callable[..., PairedScores]) -> None:
    check = superiority(make_pair(100, 12, 2, both=30), DEFAULT)
    assert check.p_value == pytest.approx((91 + 14 + 1) / 2**14)  # C(14,2) + C(14,1) + C(14,0) patterns
    assert (check.detail["champion"], check.detail["candidate"]) == pytest.approx((0.32, 0.42))
    assert check.low > 0
    assert check.power is not None
    assert check.power < 0.8
    assert check.detail["needed"] > 100


def test_equal_releases_pass_at_most_as_often_as_the_level(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]
) -> None:
    # 2,500 trials at a level of 0.025: a share above 0.035 would happen by chance with probability 1e-3
    suite, rng = make_suite("words", 200), np.random.default_rng(20)
    difficulty = rng.beta(1, 1, size=200)
    seen: Counter[str] = Counter()
    for _ in range(2500):
        scores = [make_scores(suite, name, rng.random(200) < difficulty) for name in ("a", "b")]
        seen[superiority(pair(suite, *scores), DEFAULT).result] += 1
    assert seen["passed"] / 2500 <= 0.035
    assert seen["passed"] > 15  # the test is not merely deaf


def test_a_known_lift_is_found_as_often_as_the_power_that_the_check_states(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]
) -> None:
    # truth: 12.5 % gains, 7.5 % losses; exact power at n = 500 is 0.66; 1,000 trials have a standard error of 0.015
    suite, rng = make_suite("words", 500), np.random.default_rng(21)
    found, stated = 0, []
    for _ in range(1000):
        cell = rng.random(500)
        champion, candidate = (cell < 0.4) | (cell > 0.925), (cell < 0.4) | ((cell > 0.8) & (cell <= 0.925))
        check = superiority(pair(suite, make_scores(suite, "a", champion), make_scores(suite, "b", candidate)), DEFAULT)
        found += check.passed
        stated.append(check.power)
    assert found / 1000 == pytest.approx(np.mean(stated), abs=0.05)


@reuse_fixtures
@given(answers)
def test_swapping_the_releases_flips_the_estimate_and_its_interval(
    make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores], pairs: tuple[list[bool], list[bool]]
) -> None:
    suite = make_suite("words", len(pairs[0]))
    a, b = (make_scores(suite, name, scores) for name, scores in zip("ab", pairs, strict=True))
    ours, swapped = superiority(pair(suite, a, b), DEFAULT), superiority(pair(suite, b, a), DEFAULT)
    assert ours.estimate == -swapped.estimate
    assert (ours.low, ours.high) == pytest.approx((-swapped.high, -swapped.low), abs=1e-7)
    assert not (ours.passed and swapped.passed)
    assert ours.power == swapped.power


@reuse_fixtures
@given(answers, st.randoms())
def test_the_order_of_the_questions_changes_nothing(
    make_suite: Callable[..., Suite],
    make_scores: Callable[..., SuiteScores],
    pairs: tuple[list[bool], list[bool]],
    random,
) -> None:
    suite, order = make_suite("words", len(pairs[0])), list(range(len(pairs[0])))
    random.shuffle(order)
    a, b = (make_scores(suite, name, scores) for name, scores in zip("ab", pairs, strict=True))
    c, d = (make_scores(suite, name, [scores[i] for i in order]) for name, scores in zip("ab", pairs, strict=True))
    assert superiority(pair(suite, a, b), DEFAULT) == superiority(pair(suite, c, d), DEFAULT)


@reuse_fixtures
@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 500), st.integers(0, 500))
def test_questions_on_which_both_agree_never_flip_a_pass(
    make_pair: Callable[..., PairedScores], gains: int, losses: int, both_right: int, both_wrong: int
) -> None:
    before = superiority(make_pair(60, gains, losses), DEFAULT)
    n = 60 + both_right + both_wrong
    after = superiority(make_pair(n, gains, losses, both=both_right), DEFAULT)
    assert after.passed == before.passed
    assert after.p_value == before.p_value


@reuse_fixtures
@given(st.integers(0, 60), st.integers(0, 60), st.integers(120, 400))
def test_a_pass_always_shows_an_interval_above_zero(
    make_pair: Callable[..., PairedScores], gains: int, losses: int, n: int
) -> None:
    check = superiority(make_pair(n, gains, losses), DEFAULT)
    if check.passed:
        assert check.low > 0
