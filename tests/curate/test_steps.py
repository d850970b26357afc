from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from loopwise.curate.cap_person import cap_per_person
from loopwise.curate.cap_prompt import cap_per_prompt
from loopwise.curate.conflicts import settle_conflicts
from loopwise.curate.decontaminate import decontaminate
from loopwise.curate.duplicates import drop_duplicates
from loopwise.curate.ledger import NAMED, Ledger
from loopwise.curate.near_duplicates import drop_normalized_duplicates
from loopwise.curate.unusable import drop_unusable


def answers(step, examples):
    ledger = Ledger()
    return [example.completion for example in step(examples, ledger)], ledger


@pytest.mark.parametrize(
    ("messages", "completion", "reason"),
    [
        ((), "a", "nothing is asked"),
        (({"role": "user", "content": " "},), "a", "nothing is asked"),
        (({"role": "user", "content": "q"},), "\n", "the answer is empty"),
        (({"role": "user", "content": [{"type": "image_url"}]},), "a", "a message holds no plain text"),
        (
            ({"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}),
            "a",
            "the prompt ends with an answer",
        ),
        (({"role": "user", "content": "123456"},), "12345", "longer than 10 characters"),
    ],
)
def test_what_cannot_be_trained_on_is_dropped_with_its_reason(example, messages, completion, reason):
    bad = replace(example(), messages=messages, completion=completion)

    kept, ledger = answers(partial(drop_unusable, max_characters=10), [bad, example("q", "a")])

    assert kept == ["a"]
    assert [(row["reason"], row["count"]) for row in ledger.rows()] == [(reason, 1)]


def test_the_length_limit_itself_is_allowed(example):
    kept, _ = answers(partial(drop_unusable, max_characters=10), [example("12345", "54321")])

    assert kept == ["54321"]


def test_duplicates_keep_the_first(example):
    kept, ledger = answers(drop_duplicates, [example("q", "a", order=1), example("q", "a"), example("q", "A")])

    assert kept == ["a", "A"]
    assert ledger.total == 1


def test_the_same_answer_to_another_question_is_no_duplicate(example):
    kept, _ = answers(drop_normalized_duplicates, [example("q", "a"), example("p", "a")])

    assert kept == ["a", "a"]


def test_normalized_duplicates_ignore_case_white_space_and_unicode_form(example):
    rows = [example("Straße  ﬁve?", "Café"), example("STRASSE\nfive? ", "cafe\u0301"), example("strasse six?", "café")]

    kept, ledger = answers(drop_normalized_duplicates, rows)

    assert kept == ["Café", "café"]
    assert ledger.rows()[0]["examples"] == [list(rows[1].provenance)]


def test_a_suites_question_is_dropped_by_its_key_whatever_its_wording(example, suite):
    kept, ledger = answers(
        decontaminate([suite("What is 1+1?")]), [example("one and one?", "2", key="key:What is 1+1?")]
    )

    assert kept == []
    assert ledger.rows()[0]["reason"] == "its key is in the suite final"


def test_a_suites_question_is_dropped_by_its_text_whatever_its_form_and_system_prompt(example, suite):
    dressed = example("ignored", "2")
    dressed = replace(
        dressed,
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": " what IS\t1+1?"}),
    )

    kept, ledger = answers(decontaminate([suite("other"), suite("What is 1+1?", name="anchor")]), [dressed])

    assert kept == []
    assert ledger.rows()[0]["reason"] == "its question is in the suite anchor"


def test_a_prompt_counts_at_most_so_often(example):
    rows = [example("q", "a"), example("Q", "b"), example("q", "c"), example("p", "d")]

    kept, _ = answers(partial(cap_per_prompt, most=2), rows)

    assert kept == ["a", "b", "d"]


def test_a_person_counts_at_most_so_often_and_practice_without_limit(example):
    rows = [example("q", str(i), user=user) for i, user in enumerate(["u", "v", "u", None, "u", None, None])]

    kept, _ = answers(partial(cap_per_person, most=2), rows)

    assert kept == ["0", "1", "2", "3", "5", "6"]


def correction(example, answer, user, order):
    return example("q", answer, kind="demonstration", user=user, order=order, provenance=(f"{user}{order}",))


def test_the_correction_with_most_people_behind_it_wins(example):
    rows = [correction(example, *given) for given in [("5", "u", 1), ("5 ", "w", 2), ("4", "v", 3)]]

    kept, ledger = answers(settle_conflicts, rows)

    assert kept == ["5", "5 "]
    assert ledger.rows()[0]["examples"] == [["v3"]]


def test_between_equal_corrections_the_latest_wins(example):
    kept, _ = answers(settle_conflicts, [correction(example, "5", "u", 1), correction(example, "4", "v", 2)])

    assert kept == ["4"]


def test_one_person_has_one_voice_and_it_is_the_latest(example):
    rows = [correction(example, *given) for given in [("5", "u", 1), ("5", "u", 2), ("6", "u", 3), ("4", "v", 4)]]

    kept, _ = answers(settle_conflicts, rows)

    assert kept == ["4"]  # one voice for 6, one for 4, which is later; none left for 5


def test_other_kinds_do_not_take_part_in_conflicts(example):
    rows = [example("q", "4"), example("q", "5", kind="approved"), correction(example, "6", "u", 1)]

    kept, _ = answers(settle_conflicts, rows)

    assert kept == ["4", "5", "6"]


def test_the_ledger_counts_all_and_names_some(example):
    ledger = Ledger()
    for i in range(NAMED + 5):
        ledger.drop("step", "why", example(provenance=(str(i),)))

    assert ledger.total == ledger.rows()[0]["count"] == NAMED + 5
    assert ledger.rows()[0]["examples"] == [[str(i)] for i in range(NAMED)]
