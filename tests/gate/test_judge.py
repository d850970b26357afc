from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy.stats import binomtest

from loopwise.errors import SettingsError, UnknownNameError, UsageError
from loopwise.gate import GateSettings, judge, verdict
from loopwise.stats.paired import noninferiority
from loopwise.types import GateReport, Suite, SuiteScores

SETTINGS = GateSettings()
Make = Callable[..., Suite]
Score = Callable[..., SuiteScores]


def half(n: int) -> list[int]:
    return [1] * (n // 2) + [0] * (n - n // 2)


def report_of(make_suite: Make, make_scores: Score, target: list[int], anchor: list[int]) -> GateReport:
    """A champion that is right on the first half of 200 questions of each suite, against the given candidate."""
    words, sums = make_suite("words", 200), make_suite("sums", 200, role="anchor")
    champion = {s.name: make_scores(s, "r1", half(200)) for s in (words, sums)}
    candidate = {"words": make_scores(words, "r2", target), "sums": make_scores(sums, "r2", anchor)}
    return judge(champion, candidate, [sums, words], SETTINGS)


def test_better_on_the_target_and_no_worse_on_the_anchor_is_promoted(make_suite: Make, make_scores: Score) -> None:
    report = report_of(make_suite, make_scores, [1] * 150 + [0] * 50, half(200))
    assert report.passed
    assert (report.champion, report.candidate) == ("r1", "r2")
    assert [c.name for c in report.checks] == ["superiority:words", "noninferiority:sums", "changed"]


@pytest.mark.parametrize(
    ("target", "anchor", "failing"),
    [
        (half(200), half(200), "superiority:words"),
        ([1] * 150 + [0] * 50, [1] * 70 + [0] * 130, "noninferiority:sums"),
    ],
)
def test_one_failed_check_refuses_the_candidate(
    make_suite: Make, make_scores: Score, target: list[int], anchor: list[int], failing: str
) -> None:
    report = report_of(make_suite, make_scores, target, anchor)
    assert verdict(report) == "failed"
    assert [c.name for c in report.checks if not c.passed] == [failing]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.integers(45, 300), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 0.1), st.floats(0, 0.1), st.booleans())
def test_a_candidate_is_promoted_exactly_when_every_proof_is_there(
    make_suite: Make, make_scores: Score, n: int, gain: float, loss: float, gain_2: float, loss_2: float, same: bool
) -> None:
    suites = [make_suite("words", n), make_suite("sums", n, role="anchor", margin=0.1)]
    counts = {"words": (int(gain * n), int(loss * n)), "sums": (int(gain_2 * n), int(loss_2 * n))}
    champion, candidate = {}, {}
    for suite in suites:
        b, c = counts[suite.name]
        champion[suite.name] = make_scores(suite, "r1", [0] * b + [1] * c + [1] * (n - b - c))
        candidate[suite.name] = make_scores(suite, "r1" if same else "r2", [1] * b + [0] * c + [1] * (n - b - c))
    b, c = counts["words"]
    better = b + c > 0 and binomtest(b, b + c, alternative="greater").pvalue <= 0.025
    no_worse = noninferiority(*counts["sums"], n, 0.1) < 0.05
    report = judge(champion, candidate, suites, SETTINGS)
    assert report.passed == (n >= 50 and better and no_worse and not same)
    assert (verdict(report) == "passed") == report.passed


def test_a_candidate_with_the_champions_fingerprint_is_refused_whatever_it_scored(
    make_suite: Make, make_scores: Score
) -> None:
    words = make_suite("words", 200)
    champion = make_scores(words, "r1", half(200))
    candidate = replace(make_scores(words, "r2", [1] * 200), fingerprint=champion.fingerprint)
    report = judge({"words": champion}, {"words": candidate}, [words], SETTINGS)
    assert [c.name for c in report.checks if not c.passed] == ["changed"]
    assert "nothing changed" in report.checks[-1].detail["reason"]
    assert verdict(report) == "failed"


def test_without_a_target_suite_nothing_is_promoted(make_suite: Make, make_scores: Score) -> None:
    sums = make_suite("sums", 200, role="anchor")
    scores = [{"sums": make_scores(sums, name, half(200))} for name in ("r1", "r2")]
    report = judge(*scores, [sums], SETTINGS)
    assert verdict(report) == "not proved"
    assert not report.passed
    assert verdict(judge({}, {}, [], SETTINGS)) == "not proved"


@pytest.mark.parametrize("missing", ["champion", "candidate", "both"])
@pytest.mark.parametrize("role", ["target", "anchor"])
def test_a_suite_that_was_not_scored_for_both_is_not_proved(
    make_suite: Make, make_scores: Score, missing: str, role: str
) -> None:
    words, other = make_suite("words", 200), make_suite("other", 200, role=role)
    champion = {s.name: make_scores(s, "r1", half(200)) for s in (words, other)}
    candidate = {s.name: make_scores(s, "r2", [1] * 200) for s in (words, other)}
    if missing != "candidate":
        del champion["other"]
    if missing != "champion":
        del candidate["other"]
    report = judge(champion, candidate, [words, other], SETTINGS)
    assert verdict(report) == "not proved"
    assert [(c.name, c.result) for c in report.checks if not c.passed] == [("scores:other", "not proved")]


def test_probes_do_not_decide_and_need_no_scores(make_suite: Make, make_scores: Score) -> None:
    words, probe = make_suite("words", 200), make_suite("probe", 200, role="probe")
    champion = {"words": make_scores(words, "r1", half(200))}
    candidate = {"words": make_scores(words, "r2", [1] * 200)}
    assert judge(champion, candidate, [words, probe], SETTINGS).passed


def test_a_final_suite_is_never_read(make_suite: Make, make_scores: Score) -> None:
    words, final = make_suite("words", 200), make_suite("kept", 200, role="final")
    champion = {"words": make_scores(words, "r1", half(200))}
    candidate = {"words": make_scores(words, "r2", [1] * 200)}
    with pytest.raises(UsageError, match="'kept' has the role final"):
        judge(champion, candidate, [words, final], SETTINGS)
    with pytest.raises(UnknownNameError, match="'kept'"):
        judge({**champion, "kept": make_scores(final, "r1", half(200))}, candidate, [words], SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "another"}, "version"),
        ({"suite": "sums"}, "'sums'"),
        ({"scores": (1.0,) * 199}, "199 scores"),
        ({"answers": ("x",) * 3}, "3 answers"),
        ({"scores": (float("nan"),) * 200}, "outside"),
        ({"scores": (1.5,) * 200}, r"1\.5"),
    ],
)
@pytest.mark.parametrize("role", ["champion", "candidate"])
def test_scores_that_do_not_fit_the_suite_are_refused_with_what_is_wrong(
    make_suite: Make, make_scores: Score, role: str, change: dict[str, object], message: str
) -> None:
    words = make_suite("words", 200)
    scores = {"champion": make_scores(words, "r1", half(200)), "candidate": make_scores(words, "r2", [1] * 200)}
    scores[role] = replace(scores[role], **change)
    with pytest.raises(UsageError, match=message):
        judge({"words": scores["champion"]}, {"words": scores["candidate"]}, [words], SETTINGS)


def test_scores_of_mixed_weights_are_refused(make_suite: Make, make_scores: Score) -> None:
    suites = [make_suite("words", 200), make_suite("sums", 200, role="anchor")]
    champion = {s.name: make_scores(s, "r1", half(200)) for s in suites}
    candidate = {s.name: make_scores(s, f"r{i}", [1] * 200) for i, s in enumerate(suites, start=2)}
    with pytest.raises(UsageError, match=r"r2.*r3"):
        judge(champion, candidate, suites, SETTINGS)


def test_two_suites_of_one_name_and_an_empty_suite_are_refused(make_suite: Make, make_scores: Score) -> None:
    words, empty = make_suite("words", 200), make_suite("empty", 0)
    with pytest.raises(UsageError, match="Two suites are called 'words'"):
        judge({}, {}, [words, words], SETTINGS)
    scores = [{"empty": make_scores(empty, name, [])} for name in ("r1", "r2")]
    with pytest.raises(UsageError, match="has no questions"):
        judge(*scores, [empty], SETTINGS)


def test_the_worst_examples_are_answers_lost_and_come_from_every_suite(make_suite: Make, make_scores: Score) -> None:
    words, sums = make_suite("words", 100), make_suite("sums", 100, role="anchor")
    before, after = [f"was {i}" for i in range(100)], [f"now {i}" for i in range(100)]
    champion = {s.name: make_scores(s, "r1", [1] * 100, before) for s in (words, sums)}
    candidate = {
        "words": make_scores(words, "r2", [0.5] * 40 + [0] * 10 + [1] * 50, after),
        "sums": make_scores(sums, "r2", [0.2] + [1] * 97 + [0] * 2, after),
    }
    champion["sums"] = replace(champion["sums"], scores=(0.6, *[1.0] * 99))  # never right, so never lost
    worst = judge(champion, candidate, [words, sums], SETTINGS).worst
    assert len(worst) == 10
    assert [w["suite"] for w in worst] == ["words", "sums", "words", "sums", *["words"] * 6]
    assert worst[0] == {  # the lowest score of its suite, not the first one lost
        "suite": "words",
        "prompt": "words question 40",
        "reference": "answer 40",
        "champion": "was 40",
        "candidate": "now 40",
    }


def test_settings_that_make_no_sense_are_refused_with_their_value() -> None:
    with pytest.raises(SettingsError, match=r"alpha.*0\.7"):
        GateSettings(alpha=0.7)
    with pytest.raises(SettingsError, match=r"min_questions.*0"):
        GateSettings(min_questions=0)
