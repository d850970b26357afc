from __future__ import annotations

from functools import partial

import pytest

from loopwise.curate.conflicts import BALANCED, CORRECTED, OUTWEIGHED, VERIFIED, settle_conflicts


def correction(example, answer, user, order):
    return example("q", answer, kind="demonstration", user=user, order=order, provenance=(f"{user}{order}",))


def mark(example, kind, user, weight=1.0, answer="a", question="q"):
    return example(question, answer, kind=kind, user=user, weight=weight, provenance=(f"{user}{kind}",))


def kept(rows, apart=()):
    from loopwise.curate.ledger import Ledger

    ledger = Ledger()
    found = [row.provenance[0] for row in settle_conflicts(rows, ledger, apart)]
    return found, [row["reason"] for row in ledger.rows()]


def test_the_correction_with_most_people_behind_it_wins(example, answers):
    rows = [correction(example, *given) for given in [("5", "u", 1), ("5 ", "w", 2), ("4", "v", 3)]]

    kept, ledger = answers(settle_conflicts, rows)

    assert kept == ["5", "5 "]
    assert ledger.rows()[0]["examples"] == [["v3"]]


def test_between_equal_corrections_the_latest_wins(example, answers):
    rows = [correction(example, "5", "u", 1), correction(example, "4", "v", 2)]

    assert answers(settle_conflicts, rows)[0] == ["4"]


def test_one_person_has_one_voice_and_it_is_the_latest(example, answers):
    rows = [correction(example, *given) for given in [("5", "u", 1), ("5", "u", 2), ("6", "u", 3), ("4", "v", 4)]]

    # one voice for 6, one for 4, which is later; none left for 5
    assert answers(settle_conflicts, rows)[0] == ["4"]


def test_corrections_of_different_prompts_do_not_meet(example, answers):
    rows = [correction(example, "5", "u", 1), example("p", "6", kind="demonstration", user="v")]

    assert answers(settle_conflicts, rows)[0] == ["5", "6"]


def test_other_kinds_are_no_corrections(example, answers):
    rows = [example("q", "4"), example("q", "5", kind="approved"), correction(example, "6", "u", 1)]

    assert answers(settle_conflicts, rows)[0] == ["4", "5", "6"]


@pytest.mark.parametrize(
    ("good", "bad", "stays", "reason"),
    [
        ([("u", 0.7), ("v", 0.7)], [("w", 0.9)], ["uapproved", "vapproved"], OUTWEIGHED),
        ([("u", 0.3)], [("w", 0.9)], ["wrefused"], OUTWEIGHED),
        ([("u", 0.7)], [("w", 0.7)], [], BALANCED),
        ([("u", 0.7), ("u", 0.7)], [("w", 0.9)], ["wrefused"], OUTWEIGHED),  # one person, however often
        ([("u", 0.1), ("v", 0.2)], [("w", 0.2), ("x", 0.1)], [], BALANCED),  # 0.1 + 0.2 in either order
    ],
)
def test_of_good_and_bad_marks_on_one_answer_the_heavier_side_stays(example, good, bad, stays, reason):
    rows = [mark(example, "approved", *given) for given in good] + [mark(example, "refused", *given) for given in bad]

    assert kept(rows) == (stays, [reason])


def test_what_a_verifier_found_right_is_not_refused(example):
    rows = [example("q", "a", provenance=("verified",)), mark(example, "refused", "w", 9.0)]

    assert kept(rows) == (["verified"], [VERIFIED])


def test_marks_on_different_answers_do_not_contradict(example):
    rows = [mark(example, "approved", "u"), mark(example, "refused", "v", answer="b")]

    assert kept(rows) == (["uapproved", "vrefused"], [])


@pytest.mark.parametrize(("weight", "stays", "reason"), [(2.0, ["y"], OUTWEIGHED), (1.0, [], BALANCED)])
def test_of_opposite_pairs_the_heavier_side_stays(example, weight, stays, reason):
    rows = [
        example("q", "a", kind="pair", rejected="b", user="u", provenance=("x",)),
        example("q", "B ", kind="pair", rejected="a", user="v", provenance=("y",), weight=weight),
    ]

    assert kept(rows) == (stays, [reason])


def test_pairs_that_agree_or_have_nothing_in_common_stay(example):
    rows = [
        example("q", better, kind="pair", rejected=worse, user=str(i), provenance=(f"{i}",))
        for i, (better, worse) in enumerate([("a", "b"), ("a", "b"), ("a", "c"), ("c", "b")])
    ]

    assert kept(rows) == (["0", "1", "2", "3"], [])


def test_people_set_apart_have_no_voice(example):
    rows = [correction(example, "5", "u", 1), correction(example, "4", "x", 2), correction(example, "4", "y", 3)]

    assert kept(rows) == (["x2", "y3"], [CORRECTED])
    assert kept(rows, apart={"x", "y"}) == (["u1", "x2", "y3"], [])


def test_a_correction_that_lost_speaks_for_no_answer(example):
    rows = [correction(example, *given) for given in [("a", "u", 1), ("b", "v", 2), ("b", "w", 3)]]
    rows.append(mark(example, "refused", "x", 0.5, answer="a"))

    assert kept(rows) == (["v2", "w3", "xrefused"], [CORRECTED])


def test_all_is_read_before_the_first_is_given(example):
    read = []
    rows = (read.append(i) or mark(example, "approved", str(i), answer=str(i)) for i in range(3))

    next(partial(settle_conflicts)(rows, None))

    assert read == [0, 1, 2]
