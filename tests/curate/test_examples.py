from __future__ import annotations

from dataclasses import replace

import pytest

from loopwise.curate.examples import from_exchange, from_exchanges, from_judged
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


EXCHANGE = Exchange(
    id="ex1",
    at=1.0,
    model="m",
    release="m@1",
    fingerprint="sha256:0",
    arm="champion",
    propensity=1.0,
    request={"messages": [{"role": "user", "content": "q"}], "n": 2},
    response={
        "choices": [
            {"index": 1, "message": {"role": "assistant", "content": "second"}},
            {"index": 0, "message": {"role": "assistant", "content": "first"}},
        ]
    },
    status=200,
    latency_s=0.1,
)
UP = Signal("f1", "ex1", 1.0, 0.7, "", "thumbs", "human", 0.0, user="u")
FIX = Signal("f2", "ex1", -1.0, 0.9, "", "correction", "human", 0.0, user="v", text="right")


def test_a_correction_becomes_a_demonstration_of_the_right_answer():
    (found,) = from_exchange(EXCHANGE, [FIX], order=3)

    assert (found.completion, found.kind, found.user, found.order) == ("right", "demonstration", "v", 3)
    assert found.messages == ({"role": "user", "content": "q"},)
    assert found.provenance == ("ex1", "f2")


@pytest.mark.parametrize(("choice", "text"), [(0, "first"), (1, "second")])
def test_an_approved_choice_becomes_an_example_of_itself(choice, text):
    (found,) = from_exchange(EXCHANGE, [replace(UP, choice=choice)], 0)

    assert (found.completion, found.kind) == (text, "approved")


@pytest.mark.parametrize(
    "signals",
    [
        [replace(UP, strength=-1.0)],
        [replace(UP, confidence=0.3)],
        [replace(UP, choice=5)],
        [UP, replace(UP, feedback_id="f3", user="w", strength=-1.0)],
    ],
)
def test_weak_disputed_or_absent_approval_gives_nothing(signals):
    assert from_exchange(EXCHANGE, signals, 0) == []


def test_a_corrected_answer_is_not_approved_by_another_person():
    assert [example.kind for example in from_exchange(EXCHANGE, [UP, FIX], 0)] == ["demonstration"]


@pytest.mark.parametrize(
    "change",
    [
        {"train": False},
        {"response": None},
        {"status": 500},
        {"endpoint": "completions"},
        {"endpoint": "responses", "response": {"output": []}},
    ],
)
def test_nothing_comes_from_an_exchange_kept_out_of_training_or_without_an_answer(change):
    assert from_exchange(replace(EXCHANGE, **change), [UP, FIX], 0) == []


def test_signals_find_their_exchanges_and_bring_their_order():
    other = replace(EXCHANGE, id="ex2")
    fixes = [FIX, replace(FIX, exchange_id="ex2", text="other"), replace(FIX, exchange_id="gone")]

    found = from_exchanges([(5, EXCHANGE), (6, other), (7, replace(EXCHANGE, id="ex3"))], fixes)

    assert [(example.completion, example.order) for example in found] == [("right", 5), ("other", 6)]


def test_anonymous_feedback_counts_as_one_person():
    assert {example.user for example in from_exchange(EXCHANGE, [replace(FIX, user=None)], 0)} == {"anonymous"}


def test_an_answer_that_is_a_tool_call_is_not_approved_but_may_be_corrected():
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]}
    exchange = replace(EXCHANGE, response={"choices": [{"index": 0, "message": call}]})
    assert [example.kind for example in from_exchange(exchange, [UP, FIX], 0)] == ["demonstration"]
    assert from_exchange(exchange, [UP], 0) == []
