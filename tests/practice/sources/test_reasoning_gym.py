from __future__ import annotations

import json
from itertools import islice

import pytest

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.practice.sources import reasoning_gym
from loopwise.practice.sources.splits import SPLITS
from loopwise.practice.sources.table import take
from loopwise.types import Problem

SPECS = [
    "reasoning-gym:spell_backward?min_word_len=3&max_word_len=6",
    "reasoning-gym:palindrome_generation?min_length=3&max_length=4",
    "reasoning-gym:leg_counting?min_animals=1&max_animals=2&max_instances=5",
    "reasoning-gym:number_filtering?min_numbers=2&max_numbers=3&max_decimals=0",
    "reasoning-gym:number_sorting?min_numbers=2&max_numbers=3&max_decimals=0",
    "reasoning-gym:gcd",
    "reasoning-gym:survo",  # of those that draw from the seed when they are made
]


def draw(spec: str, seed: int, split: str, n: int) -> list[Problem]:
    return list(islice(reasoning_gym.problems(spec, seed, split), n))


@pytest.mark.parametrize("spec", SPECS)
def test_splits_never_share_a_question_whatever_the_seed(spec: str):
    asked = {
        split: {p.messages[0]["content"] for seed in (1, 2) for p in draw(spec, seed, split, 150)} for split in SPLITS
    }
    assert all(len(questions) >= 100 for questions in asked.values())
    assert len(set.union(*asked.values())) == sum(len(questions) for questions in asked.values())


def test_one_question_with_several_right_answers_stays_in_one_split():
    # Unlike its letters, the reference of a palindrome is drawn: "a, b, a, b" comes with abba and with baab.
    spec = "reasoning-gym:palindrome_generation?min_length=4&max_length=4"
    drawn = [p for split in SPLITS for seed in range(2) for p in draw(spec, seed, split, 2000)]
    splits: dict[str, set[str]] = {}
    references: dict[str, set[str | None]] = {}
    for problem in drawn:
        references.setdefault(problem.messages[0]["content"], set()).add(problem.reference)
        splits.setdefault(problem.messages[0]["content"], set()).add(problem.key)
    assert sum(len(r) > 1 for r in references.values()) > 50
    assert all(len(keys) == 1 for keys in splits.values())


@pytest.mark.parametrize("spec", SPECS)
def test_the_seed_alone_decides(spec: str):
    assert draw(spec, 3, "practice", 40) == draw(spec, 3, "practice", 40)
    assert {p.key for p in draw(spec, 3, "practice", 40)} != {p.key for p in draw(spec, 4, "practice", 40)}


def test_a_copied_data_set_draws_what_a_new_one_would():
    for name in ("spell_backward", "gcd", "survo", "letter_counting"):
        first = draw(f"reasoning-gym:{name}", 5, "practice", 5)
        seed = reasoning_gym._block_seed(f"reasoning-gym:{name}", 5, 0)
        fresh = reasoning_gym.make(name, {}, seed=seed, size=500)
        questions = {fresh[i]["question"] for i in range(60)}
        assert {p.messages[0]["content"] for p in first} <= questions


def test_a_problem_says_what_it_is_and_survives_json():
    spec = "reasoning-gym:leg_counting?min_animals=1&max_animals=1"
    problem = draw(spec, 1, "people", 1)[0]
    animals = problem.metadata["entry"]["metadata"]["animals"]
    assert problem.reference == str(problem.metadata["entry"]["metadata"]["total_legs"])
    assert len(animals) == 1
    assert (problem.source, problem.verifier, problem.segment) == (spec, "reasoning-gym:leg_counting", "leg_counting")
    assert problem.metadata["options"] == {"min_animals": 1, "max_animals": 1}
    assert json.loads(json.dumps(problem.metadata)) == problem.metadata


def test_options_are_integers_floats_booleans_lists_and_text():
    assert reasoning_gym._parse("reasoning-gym:x?a=1&b=-2.5&c=true&d=[1,2]&e=words.txt&f=%5B3%5D") == (
        "x", {"a": 1, "b": -2.5, "c": True, "d": [1, 2], "e": "words.txt", "f": [3]},
    )  # fmt: skip


def test_a_small_family_ends_after_its_last_problem():
    # 1 animal, 1 to 2 instances: 37 animals x 2 counts = 74 questions in all.
    spec = "reasoning-gym:leg_counting?min_animals=1&max_animals=1&max_instances=2"
    found = {split: [p.key for p in reasoning_gym.problems(spec, 1, split)] for split in SPLITS}
    assert sum(len(keys) for keys in found.values()) == 74
    n = len(found["held-out"])
    with pytest.raises(
        SettingsError, match=f"has only {n} distinct problems in the split 'held-out', and {n + 1} are needed"
    ):
        take([spec], n + 1, 1, "held-out")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("reasoning-gym:leg_countin", "no family 'leg_countin'; did you mean leg_counting"),
        ("reasoning-gym:gcd?min_number=2", "no option 'min_number'; did you mean min_numbers"),
        ("reasoning-gym:gcd?min_numbers=two", "'min_numbers' of reasoning-gym:gcd is 'two'; it must be of type int"),
        ("reasoning-gym:gcd?seed=2", "The option 'seed' of reasoning-gym:gcd comes from the run"),
        ("reasoning-gym:gcd?min_numbers", "do not read as key=value"),
    ],
)
def test_a_wrong_spec_is_refused_before_the_first_problem(spec: str, sentence: str):
    with pytest.raises((SettingsError, UnknownNameError)) as caught:
        reasoning_gym.problems(spec, 1, "practice")
    assert sentence in str(caught.value)
