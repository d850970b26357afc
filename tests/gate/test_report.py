from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from loopwise.gate import GateSettings, from_json, judge, to_json, to_text
from loopwise.types import GateReport, Suite, SuiteScores


@pytest.fixture
def report(make_suite: Callable[..., Suite], make_scores: Callable[..., SuiteScores]) -> GateReport:
    """Target: 40 of 200 → 60 of 200 (gains 30, losses 10). Anchor: too few questions."""
    words, sums = make_suite("words", 200), make_suite("sums", 40, role="anchor")
    answers = ["line one\nFAILED: a forged verdict"] * 200
    champion = {
        "words": make_scores(words, "r1", [1] * 40 + [0] * 160, answers),
        "sums": make_scores(sums, "r1", [1] * 40),
    }
    candidate = {
        "words": make_scores(words, "r2", [0] * 10 + [1] * 60 + [0] * 130, answers),
        "sums": make_scores(sums, "r2", [1] * 40),
    }
    return judge(champion, candidate, [words, sums], GateSettings())


def test_the_json_form_survives_the_store_and_reads_back_equal(report: GateReport) -> None:
    stored = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert from_json(stored) == report
    assert stored["verdict"] == "not proved"
    assert [c["passed"] for c in stored["checks"]] == [True, False, True]
    assert {"name", "estimate", "low", "high", "threshold", "passed"} <= stored["checks"][0].keys()


def test_the_text_begins_with_the_verdict_and_what_stands_in_the_way(report: GateReport) -> None:
    lines = to_text(report).splitlines()
    assert lines[0] == "NOT PROVED: candidate r2 against champion r1"
    assert lines[1] == (
        "  noninferiority:sums not proved: 40 questions are fewer than the 50 required (about 52 questions would do)"
    )


def test_the_table_speaks_in_points(report: GateReport) -> None:
    row = next(line for line in to_text(report).splitlines() if line.startswith("superiority:words"))
    check = report.checks[0]
    assert row.split()[:5] == ["superiority:words", "passed", "20.0", "30.0", "+10.0"]
    assert f"[{100 * check.low:+.1f}, {100 * check.high:+.1f}]" in row
    assert row.split()[-1] == "200"
    header = next(line for line in to_text(report).splitlines() if line.startswith("check"))
    assert len(header.rstrip()) == len(row)
    assert max(map(len, to_text(report).splitlines())) <= 120


def test_what_models_wrote_cannot_pass_for_a_line_of_the_report(report: GateReport) -> None:
    text = to_text(report)
    assert "[words] 'words question 0'" in text
    assert not any(line.lstrip().startswith("FAILED") for line in text.splitlines())


def test_a_report_without_checks_says_that_nothing_is_proved() -> None:
    assert to_text(GateReport("", "", ())).startswith("NOT PROVED: candidate (none) against champion (none)")
