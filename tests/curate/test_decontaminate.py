from __future__ import annotations

import random
from dataclasses import replace

import pytest

from loopwise.curate.decontaminate import decontaminate
from loopwise.types import Problem, Suite

rng = random.Random(11)
VOCABULARY = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(4_000)]


def prose(words=40):
    return " ".join(rng.choices(VOCABULARY, k=words))


def reasons(ledger):
    return [row["reason"] for row in ledger.rows()]


def test_a_suites_question_is_dropped_by_its_key_whatever_its_wording(example, suite, answers):
    step = decontaminate([suite("What is 1+1?")])

    kept, ledger = answers(step, [example("one and one?", "2", key="key:What is 1+1?")])

    assert kept == []
    assert reasons(ledger) == ["its key is in the suite final"]


def test_a_suites_question_is_dropped_by_its_text_whatever_its_form_and_system_prompt(example, suite, answers):
    asked = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": " what IS\t1+1\u2019s?"})
    dressed = replace(example("ignored", "2"), messages=asked)

    kept, ledger = answers(decontaminate([suite("other"), suite("What is 1+1's?", name="anchor")]), [dressed])

    assert kept == []
    assert reasons(ledger) == ["its question is in the suite anchor"]


@pytest.mark.parametrize("place", ["earlier turn", "answer", "rejected answer"])
def test_a_suites_question_is_dropped_wherever_it_stands(example, suite, answers, place):
    turns = ({"role": "user", "content": "held"}, {"role": "assistant", "content": "x"})
    row = example("q", "held" if place == "answer" else "a", kind="pair", rejected="b")
    if place == "earlier turn":
        row = replace(row, messages=(*turns, *row.messages))
    if place == "rejected answer":
        row = replace(row, rejected="Held")

    assert answers(decontaminate([suite("held")]), [row])[0] == []


def test_a_question_is_known_after_redaction_too(example, suite, answers):
    step = decontaminate([suite("Write to ada@lovelace.org today")])

    assert answers(step, [example("Write to [EMAIL] today", "a")])[0] == []


def test_thirteen_words_in_a_row_of_a_question_give_it_away(example, suite, answers):
    question = prose()
    step = decontaminate([suite(question)])
    thirteen = " ".join(question.split()[20:33])
    rows = [example("what is meant by: " + thirteen, "no"), example("q", f"x {thirteen.upper()} y")]

    kept, ledger = answers(step, [*rows, example("q", " ".join(thirteen.split()[1:]))])

    assert kept == [" ".join(thirteen.split()[1:])]
    assert reasons(ledger) == ["it holds 13 words in a row of the suite final"]
    assert ledger.total == 2


@pytest.mark.parametrize(("words", "dropped"), [(7, False), (8, True), (12, True)])
def test_of_a_shorter_question_the_whole_gives_it_away(example, suite, answers, words, dropped):
    question = prose(words)

    kept, _ = answers(decontaminate([suite(question)]), [example(f"please answer {question} at once", "a")])

    assert kept == ([] if dropped else ["a"])


def test_a_system_prompt_gives_nothing_away(example, suite, answers):
    question = prose()
    row = example("q", "a")
    row = replace(row, messages=({"role": "system", "content": f"x {question}"}, *row.messages))

    assert answers(decontaminate([suite(question)]), [row])[0] == ["a"]


def test_a_question_that_is_nearly_a_suites_is_dropped(example, suite, answers):
    words = prose(60).split()
    question = " ".join(words)
    for place in (10, 22, 34, 46, 58):  # no thirteen words in a row are left
        words[place] = "zzzzzz"
    step = decontaminate([suite(question)], threshold=0.55)

    kept, ledger = answers(step, [example(" ".join(words), "a"), example(prose(60), "b")])

    assert kept == ["b"]
    assert reasons(ledger) == ["it asks nearly a question of the suite final"]


def test_one_template_in_a_suite_does_not_keep_out_all_that_is_asked_by_it(example, suite, answers):
    template = "A train leaves the station at noon with {} people on board and at each of its {} stops half get off"
    step = decontaminate([suite(*(template.format(i, i + 1) for i in range(40)))], threshold=0.6)
    rows = [example(template.format(900, 40), "new"), example(template.format(7, 8), "held")]

    kept, ledger = answers(step, rows)

    assert kept == ["new"]  # though the suite also asks of 40 stops
    assert reasons(ledger) == ["its question is in the suite final"]


def test_a_question_of_few_problems_is_no_template(example, suite, answers):
    template = "A train leaves the station at noon with {} people on board and at each of its {} stops half get off"
    step = decontaminate([suite(*(template.format(i, i + 1) for i in range(3)))], threshold=0.6)

    assert answers(step, [example(template.format(900, 2), "new")])[0] == []


def test_generated_problems_compare_by_key_and_question_alone(example, answers):
    text = prose()
    problem = Problem("gcd(4,6)", "reasoning-gym:gcd", ({"role": "user", "content": f"{text} 4 6"},), "2", "exact")
    step = decontaminate([Suite("target", "target", "v1", (problem,))], threshold=0.6)
    practised = example(f"{text} 8 6", "2", source="reasoning-gym:gcd", key="gcd(8,6)")

    kept, _ = answers(step, [practised, example(f"{text} 8 6", "people's"), replace(practised, key="gcd(4,6)")])

    assert kept == ["2", "people's"]


def test_a_generated_example_is_not_compared_with_a_suites_texts(example, suite, answers):
    text = prose()
    practised = example(f"{text} 8 6", "2", source="reasoning-gym:gcd", key="gcd(8,6)")

    assert answers(decontaminate([suite(f"{text} 4 6")], 0.6), [practised])[0] == ["2"]


def test_without_suites_all_is_kept(example, answers):
    assert answers(decontaminate([]), [example(prose(), prose())] * 3)[1].total == 0
