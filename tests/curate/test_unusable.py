from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from loopwise.curate.unusable import drop_unusable

USER = {"role": "user", "content": "q"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
step = partial(drop_unusable, max_characters=40)


@pytest.mark.parametrize(
    ("messages", "completion", "reason"),
    [
        ((), "a", "nothing is asked"),
        (({"role": "user", "content": " "},), "a", "nothing is asked"),
        (({"role": "system", "content": "be"},), "a", "nothing is asked"),
        ((USER,), "\n", "the answer is empty"),
        (({"role": "user", "content": None},), "a", "a message holds no plain text"),
        (
            ({"role": "user", "content": [{"type": "image_url"}]},),
            "a",
            "a message holds parts that are no text, such as an image",
        ),
        ((USER, {"role": "assistant", "content": "b"}), "a", "the prompt ends with an answer"),
        ((USER, {"role": "completions", "content": ""}), "a", "it is no conversation, or not the whole of one"),
        (({"role": "user", "content": "1" * 30},), "2" * 11, "longer than 40 characters"),
    ],
)
def test_what_cannot_be_trained_on_is_dropped_with_its_reason(example, answers, messages, completion, reason):
    bad = replace(example(), messages=messages, completion=completion)

    kept, ledger = answers(step, [bad, example("q", "a")])

    assert kept == ["a"]
    assert [(row["reason"], row["count"]) for row in ledger.rows()] == [(reason, 1)]


def test_the_length_limit_itself_is_allowed(example, answers):
    assert answers(step, [example("1" * 30, "5" * 10)])[0] == ["5" * 10]


def test_a_rejected_answer_counts_in_the_length(example, answers):
    kept, ledger = answers(step, [example("q", "5" * 20, kind="pair", rejected="6" * 20)])

    assert kept == []
    assert ledger.rows()[0]["reason"] == "longer than 40 characters"


@pytest.mark.parametrize(
    ("better", "rejected", "reason"),
    [
        ("a", None, "the rejected answer is empty"),
        ("a", " ", "the rejected answer is empty"),
        ("don't\n", "don\u2019t\r\n", "the better answer is the answer that was given"),
    ],
)
def test_a_pair_needs_two_answers_that_differ(example, answers, better, rejected, reason):
    kept, ledger = answers(step, [example("q", better, kind="pair", rejected=rejected)])

    assert kept == []
    assert ledger.rows()[0]["reason"] == reason


def test_a_pair_may_differ_in_letter_case_alone(example, answers):
    assert answers(step, [example("q", "Rome", kind="pair", rejected="rome")])[0] == ["Rome"]


def test_an_answer_may_be_a_tool_call_alone(example, answers):
    assert answers(step, [replace(example("q", ""), tool_calls=(CALL,))])[0] == [""]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_what_weighs_nothing_is_dropped(example, answers, weight):
    kept, ledger = answers(step, [example(weight=weight)])

    assert kept == []
    assert ledger.rows()[0]["reason"] == "its weight is 0"


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "\udfff"])
@pytest.mark.parametrize("place", ["question", "answer"])
def test_nul_and_half_characters_are_no_text(example, answers, text, place):
    bad = example(text, "a") if place == "question" else example("q", text)

    kept, ledger = answers(step, [bad])

    assert kept == []
    assert ledger.rows()[0]["reason"] == "holds NUL or half a surrogate pair, which are no text"


@pytest.mark.parametrize(
    "marker",
    [
        *("<|end|>", "<|im_start|>", "<|eot_id|>", "<|assistant|>", "<\uff5cUser\uff5c>", "</s>", "<eos>"),
        *("<start_of_turn>", "[INST]", "[/INST]", "<<SYS>>"),
    ],
)
def test_markers_of_chat_templates_do_not_reach_a_tokenizer(example, answers, marker):
    rows = [example(f"say {marker} now", "a"), example("q", f"well {marker}")]
    rows.append(replace(example("q", ""), tool_calls=({**CALL, "function": {"name": "f", "arguments": marker}},)))

    kept, ledger = answers(step, rows)

    assert kept == []
    assert ledger.rows()[0]["count"] == 3
    assert marker not in str(ledger.rows()[0]["reason"])


@pytest.mark.parametrize("text", ["a <| b |> c", "x < y | z > w", "<span>", "list[int]", "f |> g", "[SYSTEM]"])
def test_code_that_only_looks_like_a_marker_stays(example, answers, text):
    assert answers(step, [example("q", text)])[0] == [text]
