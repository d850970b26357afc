from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import pytest

from loopwise.curate.ledger import Ledger
from loopwise.curate.likeness import SHORT, jaccard
from loopwise.curate.near_duplicates import drop_near_duplicates

rng = random.Random(7)
VOCABULARY = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(4_000)]


def prose(words=80):
    return " ".join(rng.choices(VOCABULARY, k=words))


def changed(text, place, word="zzzzzz"):
    words = text.split()
    words[place] = word
    return " ".join(words)


def kept(rows, threshold=0.85, apart=()):
    ledger = Ledger()
    found = list(drop_near_duplicates(rows, ledger, threshold, apart))
    assert len(found) + ledger.total == len(rows)
    return [rows.index(row) for row in found]


def test_the_similarity_of_two_texts_worked_by_hand():
    # runs of three words: abc bcd cde, abc bcd cdf: two of four
    assert jaccard("a b c d e", "a b c d f") == 0.5
    assert jaccard("a b c d e", "a b c d e") == 1.0


@pytest.mark.parametrize("kind", ["practice", "approved", "demonstration", "refused"])
def test_a_long_answer_with_one_word_changed_is_a_near_duplicate(example, kind):
    text = prose()

    assert kept([example("q", text, kind=kind), example("q", changed(text, 40), kind=kind)]) == [0]


def test_a_long_question_with_one_word_changed_and_the_same_answer_is_a_near_duplicate(example):
    text = prose()

    assert kept([example(text, "yes"), example(changed(text, 40), "Yes ")]) == [0]


def test_quotes_and_line_ends_are_no_difference(example):
    text = prose()
    other = changed(text, 40).replace(" ", "\r\n", 5)

    assert kept([example(f"'{text}'", "it's"), example(f"\u2018{other}\u2019", "it\u2019s")]) == [0]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("{text} costs 12 euros", "It is 12"),  # a number in the question
        ("{text} costs 10 euros", "It is 13"),  # a short answer
        ("{text} costs 10 euros", "it is not 12"),
    ],
)
def test_one_number_or_a_short_answer_makes_another_example(example, question, answer):
    text = prose()
    first = example(f"{text} costs 10 euros", "It is 12")

    assert kept([first, example(question.format(text=text), answer)]) == [0, 1]


def test_a_number_within_a_long_answer_makes_another_example(example):
    text = prose()

    assert kept([example("q", f"{text} 17 {text}"), example("q", f"{text} 18 {text}")]) == [0, 1]


@pytest.mark.parametrize("words", [3, SHORT - 1])
def test_short_texts_are_never_near_duplicates(example, words):
    text = prose(words)

    assert kept([example("q", text), example("q", changed(text, 0))]) == [0, 1]


def test_another_answer_to_the_same_long_question_stays(example):
    text = prose(200)

    assert kept([example(text, prose(40)), example(text, prose(40))]) == [0, 1]


def test_what_was_said_before_and_the_tools_must_be_equal(example):
    text, other = prose(), prose()
    plain = example(text, "ok")
    later = replace(plain, messages=({"role": "system", "content": other}, *plain.messages))
    rows = [plain, later, replace(later, tools=({"type": "function"},)), replace(plain, kind="approved")]
    nearly = [
        replace(row, messages=(*row.messages[:-1], {"role": "user", "content": changed(text, 9)})) for row in rows
    ]

    assert kept([*rows, *nearly]) == [0, 1, 2, 3]


def test_both_answers_of_a_pair_must_be_alike(example):
    better, worse = prose(), prose()
    rows = [
        example("q", better, kind="pair", rejected=worse),
        example("q", changed(better, 9), kind="pair", rejected=changed(worse, 9)),
        example("q", better, kind="pair", rejected=prose()),
        example("q", worse, kind="pair", rejected=better),
    ]

    assert kept(rows) == [0, 2, 3]


def test_problems_with_a_key_are_not_compared(example):
    text = prose()

    assert kept([example(text, "1", key="a"), example(changed(text, 40), "1", key="b")]) == [0, 1]


def test_words_of_scripts_without_spaces_are_characters(example):
    text = "".join(rng.choices([chr(code) for code in range(0x4E00, 0x5E00)], k=90))

    assert kept([example("q", text), example("q", text[:40] + "\u8c93" + text[41:])]) == [0]


def test_people_set_apart_shadow_nobody(example):
    text = prose()
    rows = [example("q", changed(text, place), user=user) for place, user in [(40, "bad"), (41, "u"), (42, "v")]]

    assert kept(rows, apart={"bad"}) == [0, 1]


def test_nearly_all_near_duplicates_are_found_and_nothing_else_is_dropped(example):
    # 400 texts, each with a copy in which one word of 60 is changed: Jaccard 55/61 = 0.90, at which the bands of the
    # threshold 0.85 miss less than 0.2 %; 5 or more of 400 are missed with a probability below 0.002.
    texts = [prose(60) for _ in range(400)]
    rows = [example("q", text) for text in texts] + [example("q", changed(text, 30)) for text in texts]

    found = kept(rows)

    assert found[:400] == list(range(400))
    assert len(found) < 405


def test_a_second_run_drops_nothing(example):
    text = prose()
    drifting = [text]
    for place in rng.sample(range(80), 30):
        drifting.append(changed(drifting[-1], place, prose(1)))
    ledger, again = Ledger(), Ledger()
    step = partial(drop_near_duplicates, threshold=0.7)

    once = list(step([example("q", text) for text in drifting], ledger))

    assert 1 < len(once) < len(drifting)
    assert list(step(once, again)) == once
    assert again.total == 0
