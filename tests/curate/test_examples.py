from __future__ import annotations

from dataclasses import replace

import pytest

from loopwise.curate.examples import from_judged, from_people, from_records
from loopwise.types import Attempt, Exchange, Judged, Problem, Signal, Verdict

PROBLEM = Problem("k", "reasoning-gym:gcd", ({"role": "user", "content": "gcd?"},), "4", "exact", segment="gcd")


def judged(*rows: tuple[str, float], failed: tuple[int, ...] = (), cut: tuple[int, ...] = ()) -> Judged:
    attempts = tuple(
        Attempt("k", i, text, "length" if i in cut else "stop", 1, None, "m@1", "sha256:0")
        for i, (text, _) in enumerate(rows)
    )
    verdicts = tuple(Verdict(score, "", "exact", failed=i in failed) for i, (_, score) in enumerate(rows))
    return Judged(PROBLEM, attempts, verdicts)


def test_right_attempts_become_examples_of_practice():
    (found,) = from_judged(judged(("5", 0.0), ("4", 1.0)), order=7)

    assert (found.messages, found.completion, found.kind) == (PROBLEM.messages, "4", "practice")
    assert (found.source, found.key, found.segment, found.order) == ("reasoning-gym:gcd", "k", "gcd", 7)
    assert found.provenance == ("m@1/k/1",)


@pytest.mark.parametrize("group", [judged(("4", 1.0), ("4", 1.0)), judged(("5", 0.0), ("6", 0.5))])
def test_groups_all_right_or_all_wrong_teach_nothing(group):
    assert from_judged(group, 0) == []


def test_at_most_so_many_distinct_right_answers_are_taken_the_earliest_first():
    group = judged(("a", 1.0), ("x", 0.9), ("a", 1.0), ("b", 1.0), ("c", 1.0))

    assert [example.completion for example in from_judged(group, 0)] == ["a", "b"]


def test_a_failed_verifier_makes_no_group_mixed():
    assert from_judged(judged(("4", 1.0), ("5", 0.0), failed=(1,)), 0) == []


def test_an_answer_that_was_cut_off_is_not_learned():
    assert from_judged(judged(("4", 1.0), ("5", 0.0), cut=(0,)), 0) == []


def exchange(name="ex1", *texts, question="q", **fields):
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}} for i, text in enumerate(texts or ("first",))
    ]
    values = {
        "request": {"messages": [{"role": "user", "content": question}]},
        "response": {"choices": choices},
        "status": 200,
        **fields,
    }
    return Exchange(name, 1.0, "m", "m@1", "sha256:0", "champion", 1.0, latency_s=0.1, **values)


def signal(strength=1.0, confidence=0.7, user="u", kind="thumbs", **fields):
    values = {"feedback_id": f"f-{user}", "exchange_id": "ex1", "reason": "", "source": "human", "at": 5.0, **fields}
    return Signal(strength=strength, confidence=confidence, kind=kind, user=user, **values)


def fix(text, user="v", **fields):
    return signal(-1.0, 0.9, user, "correction", text=text, **fields)


def examples(*about, quarantined=()):
    return list(from_people(((order, *one) for order, one in enumerate(about, start=3)), quarantined))


def told(found):
    return [(row.kind, row.completion, row.rejected) for row in found]


def test_a_correction_becomes_a_demonstration_and_a_pair_over_the_answer():
    found = examples((exchange(), [fix("right", weight=2.0)]))

    assert told(found) == [("demonstration", "right", None), ("pair", "right", "first")]
    for row in found:
        assert (row.user, row.order, row.at, row.source) == ("v", 3, 5.0, "people")
        assert (row.provenance, row.weight) == (("ex1", "f-v"), pytest.approx(1.8))
        assert row.messages == ({"role": "user", "content": "q"},)


def test_a_correction_of_a_named_worse_text_is_paired_with_it():
    assert told(examples((exchange(), [fix("right", worse="other")])))[1] == ("pair", "right", "other")


def test_an_edit_is_a_correction():
    edit = replace(fix("right"), kind="edit", source="implicit", strength=-0.4, confidence=0.5)

    assert [(row.kind, row.weight) for row in examples((exchange(), [edit]))] == [("demonstration", 0.2), ("pair", 0.2)]


@pytest.mark.parametrize(("worse", "rejected"), [("other", "other"), (None, "first")])
def test_a_preference_becomes_a_pair_alone(worse, rejected):
    said = signal(kind="preference", text="better", worse=worse)

    assert told(examples((exchange(), [said]))) == [("pair", "better", rejected)]


@pytest.mark.parametrize("strength", [-0.5, 0.0, 0.5])
def test_a_preference_weighs_its_confidence_whatever_it_says_of_the_answer_itself(strength):
    (found,) = examples((exchange(), [signal(strength, 0.8, kind="preference", text="b", worse="c", weight=2.0)]))

    assert found.weight == pytest.approx(1.6)


@pytest.mark.parametrize(("strength", "kinds"), [(-0.5, ["pair"]), (0.5, ["pair", "approved"])])
def test_a_preference_counts_for_or_against_the_answer_that_was_compared(strength, kinds):
    said = signal(strength, 0.8, "w", kind="preference", text="b", worse="c")

    assert [row.kind for row in examples((exchange(), [signal(), said]))] == kinds


@pytest.mark.parametrize(("choice", "text"), [(0, "first"), (1, "second")])
def test_an_approved_choice_becomes_an_example_of_itself(choice, text):
    (found,) = examples((exchange("ex1", "first", "second"), [signal(choice=choice)]))

    assert (found.kind, found.completion, found.weight) == ("approved", text, pytest.approx(0.7))


def test_a_bad_answer_is_refused():
    (found,) = examples((exchange(), [signal(-1.0, weight=3.0)]))

    assert (found.kind, found.completion, found.weight) == ("refused", "first", pytest.approx(2.1))


@pytest.mark.parametrize(
    "signals",
    [
        [signal(1.0, 0.3)],  # too weak
        [signal(choice=5)],  # no such answer
        [signal(), signal(-1.0, 0.3, "w")],  # disputed by somebody credible
        [signal(-1.0, 0.9), signal(1.0, 0.3, "w")],
        [signal(1.0, 0.7), signal(-0.6, 0.5)],  # 0.7 - 0.3, by the same person
        [signal(1.0, 0.6), signal(-1.0, 0.15, "w")],  # 0.6 - 0.15
    ],
)
def test_weak_disputed_or_absent_marks_give_nothing(signals):
    assert examples((exchange(), signals)) == []


def test_the_barely_credible_do_not_dispute_what_is_clear():
    found = examples((exchange(), [signal(1.0, 0.9), signal(-1.0, 0.1, "w")]))

    assert [(row.kind, row.user, row.weight) for row in found] == [("approved", "u", pytest.approx(0.8))]


def test_weak_marks_of_several_people_add_up_and_each_stands_for_its_own():
    signals = [signal(1.0, 0.2, "a"), signal(1.0, 0.4, "b", weight=2.0), signal(1.0, 0.1, "a", feedback_id="f-a2")]

    found = examples((exchange(), signals))

    assert [(row.user, row.provenance) for row in found] == [("a", ("ex1", "f-a", "f-a2")), ("b", ("ex1", "f-b"))]
    assert [row.weight for row in found] == pytest.approx([0.7, 1.4])


def test_one_person_counts_as_one_at_most_however_often_they_say_it():
    doubts = [signal(-1.0, 0.15, f"w{i}") for i in range(5)]  # 0.75 together, none of them credible alone

    assert examples((exchange(), [signal(1.0, 0.9), signal(1.0, 0.9, feedback_id="f2"), *doubts])) == []


def test_many_who_agree_weigh_one_at_most():
    found = examples((exchange(), [signal(1.0, 0.7, f"u{i}") for i in range(5)]))

    assert [row.weight for row in found] == pytest.approx([1.0] * 5)


def test_a_corrected_answer_is_not_approved_by_another_person():
    assert [row.kind for row in examples((exchange(), [signal(), fix("right")]))] == ["demonstration", "pair"]


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_correction_is_left_to_be_counted_and_says_nothing_of_the_answer(text):
    found = examples((exchange(), [signal(), fix(text)]))

    assert told(found) == [("demonstration", text, None), ("approved", "first", None)]


def test_a_correction_that_is_the_answer_approves_it_and_is_left_to_be_counted():
    found = examples((exchange("ex1", "don't"), [fix("don\u2019t\r\n")]))

    assert told(found) == [("pair", "don\u2019t\r\n", "don't"), ("approved", "don't", None)]


@pytest.mark.parametrize("change", [{"train": False}, {"response": None}, {"status": 500}])
def test_nothing_comes_from_an_exchange_kept_out_of_training_or_without_an_answer(change):
    assert examples((exchange(**change), [signal(), fix("right")])) == []


def test_anonymous_feedback_counts_as_one_person():
    found = examples((exchange(), [signal(1.0, 0.3, None), signal(1.0, 0.4, None), fix("x", None, choice=7)]))

    assert {row.user for row in found} == {"anonymous"}
    assert [row.kind for row in found] == ["demonstration", "approved"]


def test_an_answer_that_is_a_tool_call_is_approved_with_its_tools_and_not_rejected():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    request = {"messages": [{"role": "user", "content": "q"}], "tools": [{"type": "function"}]}
    called = exchange(request=request, response={"choices": [{"index": 0, "message": message}]})

    (found,) = examples((called, [signal()]))

    assert (found.completion, found.tool_calls, found.tools) == ("", (call,), ({"type": "function"},))
    assert told(examples((called, [fix("right")]))) == [("demonstration", "right", None)]


def again(instead="ex2", **fields):
    return signal(-0.3, 0.5, kind="regenerate", source="implicit", instead=instead, **fields)


def test_an_answer_asked_for_anew_is_better_than_the_one_before():
    (found,) = examples((exchange(), [again()]), (exchange("ex2", "second"), []))

    assert told([found]) == [("pair", "second", "first")]
    assert (found.provenance, found.order, found.user) == (("ex2", "ex1", "f-u"), 4, "u")
    assert found.weight == pytest.approx(0.15)


@pytest.mark.parametrize(
    "about",
    [
        [(exchange(), [again()]), (exchange("ex2", "second"), [signal(-1.0, 0.3, "w")])],
        [(exchange(), [again()]), (exchange("ex2", "first "), [])],
        [(exchange(), [again()]), (exchange("ex2", "second", question="p"), [])],
        [(exchange(), [again()]), (exchange("ex2", "second", train=False), [])],
        [(exchange(), [again()]), (exchange("ex3", "second"), [])],
        [(exchange("ex2", "second"), []), (exchange(), [again()])],
    ],
    ids=["marked down", "the same", "another prompt", "kept out", "another exchange", "came before"],
)
def test_asking_anew_says_nothing_where_the_later_answer_may_be_no_better(about):
    assert examples(*about) == []


def test_an_approved_answer_is_not_worse_for_being_asked_for_anew():
    found = examples((exchange(), [again(), signal(1.0, 0.9, "w")]), (exchange("ex2", "second"), []))

    assert told(found) == [("approved", "first", None)]


def test_good_and_bad_answers_to_one_prompt_become_pairs_across_exchanges():
    found = examples(
        (exchange("ex1", "bad"), [signal(-1.0, 0.9)]),
        (exchange("ex2", "good", question=" Q"), [signal(1.0, 0.6, "w", at=9.0)]),
        (exchange("ex3", "other", question="p"), [signal(-1.0, 0.9)]),
    )

    (pair,) = [row for row in found if row.kind == "pair"]
    assert (pair.completion, pair.rejected, pair.user, pair.order) == ("good", "bad", "w", 4)
    assert (pair.provenance, pair.weight, pair.at) == (("ex2", "f-w", "ex1", "f-u"), pytest.approx(0.6), 9.0)


def test_a_new_answer_is_paired_with_the_two_earliest_of_the_other_kind():
    bad = [(exchange(f"ex{i}", f"bad{i % 3}"), [signal(-1.0, 0.9)]) for i in range(5)]

    found = examples(*bad, (exchange("ex9", "good"), [signal()]))

    assert [row.rejected for row in found if row.kind == "pair"] == ["bad0", "bad1"]


def test_two_choices_of_one_exchange_make_a_pair_and_equal_ones_do_not():
    signals = [signal(), signal(-1.0, choice=1)]

    assert ("pair", "a", "b") in told(examples((exchange("ex1", "a", "b"), signals)))
    assert [row.kind for row in examples((exchange("ex1", "a", "a "), signals))] == ["approved", "refused"]


def test_what_people_in_quarantine_say_changes_nothing_for_others():
    honest = [signal(1.0, 0.7, "u")]
    attack = [signal(-1.0, 0.9, "x"), fix("wrong", "y")]

    found = examples((exchange(), honest + attack), quarantined={"x", "y"})

    alone = examples((exchange(), honest))
    assert [row for row in found if row.user == "u"] == alone
    assert [(row.kind, row.user) for row in found if row.user != "u"] == [
        *(("demonstration", "y"), ("pair", "y"), ("refused", "x"))
    ]


def test_an_image_in_the_prompt_is_left_to_be_counted():
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    seen = exchange(request={"messages": image})

    found = examples((seen, [signal(), fix("right"), again()]), (exchange("ex2", "b", request={"messages": image}), []))

    assert [row.kind for row in found] == ["demonstration", "pair"]
    assert [row.kind for row in examples((seen, [signal(1.0, 0.9)]))] == ["approved"]


def test_what_practice_showed_comes_before_what_people_said():
    groups = [(1, judged(("5", 0.0), ("4", 1.0))), (2, judged(("5", 0.0), ("4", 1.0)))]

    found = list(from_records(groups, [(7, exchange(), [fix("right")])]))

    assert [(row.kind, row.order) for row in found] == [
        ("practice", 0), ("practice", 1), ("demonstration", 7), ("pair", 7),
    ]  # fmt: skip
