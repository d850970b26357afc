from __future__ import annotations

from loopwise.practice.groups import split_groups, working_paths
from loopwise.practice.report import report
from loopwise.types import Attempt, Judged, Problem, Verdict


def group(key: str, marks: dict[str, float] | list[tuple[str, float]], segment: str = "s") -> Judged:
    """Texts with their scores; a score below 0 stands for a verifier that failed."""
    rows = list(marks.items()) if isinstance(marks, dict) else marks
    return Judged(
        Problem(key, "test", ({"role": "user", "content": key},), None, "exact", segment),
        tuple(Attempt(key, i, text, "stop", 1, None, "r", "f") for i, (text, _) in enumerate(rows)),
        tuple(Verdict(max(score, 0.0), "", "exact", failed=score < 0) for _, score in rows),
    )


MIXED = group("mixed", [("a", 1), ("b", 0), ("a", 1), ("c", 1), ("d", 1)])
RIGHT = group("right", [("a", 1), ("b", 1)])
WRONG = group("wrong", [("a", 0), ("b", 0.9)])
BROKEN = group("broken", [("a", -1), ("b", 1)])


def test_groups_that_are_all_right_or_all_wrong_are_set_aside():
    groups = split_groups([MIXED, RIGHT, WRONG, BROKEN])
    assert (groups.mixed, groups.all_right, groups.all_wrong) == ((MIXED,), (RIGHT, BROKEN), (WRONG,))


def test_the_earliest_m_distinct_right_texts_are_kept():
    def kept(m: int) -> list[tuple[str, str, int]]:
        paths = working_paths(split_groups([MIXED, RIGHT, WRONG, BROKEN]), m)
        return [(p.problem.key, p.attempt.text, p.attempt.index) for p in paths]

    assert kept(1) == [("mixed", "a", 0)]
    assert kept(2) == [("mixed", "a", 0), ("mixed", "c", 3)]
    assert kept(9) == [("mixed", "a", 0), ("mixed", "c", 3), ("mixed", "d", 4)]


def test_pass_rates_are_those_worked_out_by_hand():
    # n = 4: c = 1 gives pass@4 = 1; the report takes K = 2 from the smallest group.
    one = group("one", [("a", 1), ("b", 0), ("c", 0), ("d", 0)], "x")  # pass@1 1/4, pass@2 1 - C(3,2)/C(4,2) = 1/2
    two = group("two", [("a", 1), ("b", 0), ("c", 1), ("d", 0)], "x")  # 1/2, 1 - C(2,2)/6 = 5/6
    none = group("none", [("a", 0), ("b", -1)], "y")  # 0, 0
    rates = report([one, two, none])
    assert (rates["problems"], rates["attempts"], rates["k"], rates["kept"], rates["failed"]) == (3, 10, 2, 3, 1)
    assert (rates["mixed"], rates["all_right"], rates["all_wrong"]) == (2, 0, 1)
    assert abs(rates["pass_at_1"] - (1 / 4 + 1 / 2) / 3) < 1e-12
    assert abs(rates["pass_at_k"] - (1 / 2 + 5 / 6) / 3) < 1e-12
    assert list(rates["segments"]) == ["x", "y"]
    assert abs(rates["segments"]["x"]["pass_at_k"] - (1 / 2 + 5 / 6) / 2) < 1e-12
    assert rates["segments"]["y"]["pass_at_1"] == 0.0


def test_no_practice_has_no_rates():
    rates = report([])
    assert (rates["problems"], rates["pass_at_1"], rates["pass_at_k"], rates["segments"]) == (0, None, None, {})
