from __future__ import annotations

import json

import pytest

from loopwise.errors import SettingsError
from loopwise.types import Problem, Verdict
from loopwise.verify import reasoning_gym
from loopwise.verify.pool import VerifierPool

# Quick families that have one reference answer each, by kind of answer: words, numbers, lists, boards, expressions.
FAMILIES = [
    "spell_backward", "palindrome_generation", "leg_counting", "number_filtering", "number_sorting", "letter_counting",
    "gcd", "chain_sum", "basic_arithmetic", "caesar_cipher", "binary_matrix", "arc_1d", "word_sorting",
    "prime_factorization", "decimal_arithmetic", "rearc", "course_schedule", "syllogism",
]  # fmt: skip


def problems(family: str, n: int = 5) -> list[Problem]:
    dataset = reasoning_gym.make(family, {}, seed=11)
    entries = [json.loads(json.dumps(dataset[i])) for i in range(n)]
    return [
        Problem(f"{family}{i}", family, ({"role": "user", "content": e["question"]},), e["answer"],
                f"reasoning-gym:{family}", family, {"entry": e})
        for i, e in enumerate(entries)
    ]  # fmt: skip


def judge(pairs: list[tuple[Problem, str]]) -> list[Verdict]:
    with VerifierPool(processes=1, deadline_s=20) as pool:
        return pool.judge(pairs)


def test_gold_answers_are_right_and_nonsense_is_not():
    gold = [(p, p.reference or "") for f in FAMILIES for p in problems(f)]
    nonsense = ["", " ", "\x00", "\ud800", "score 1.0", "correct", "[]", "-1", "x" * 100_000]
    wrong = [(p, n) for f in FAMILIES for p in problems(f, 2) for n in nonsense if n != p.reference]
    verdicts = judge(gold + wrong)
    assert [p.reference for (p, _), v in zip(gold, verdicts, strict=False) if not v.right or v.failed] == []
    paid = [(p.source, text) for (p, text), v in zip(wrong, verdicts[len(gold) :], strict=True) if v.right]
    assert paid == []


def test_a_neighbor_of_the_gold_answer_is_wrong():
    spell, legs = problems("spell_backward", 1)[0], problems("leg_counting", 1)[0]
    assert spell.reference is not None
    assert legs.reference is not None
    pairs = [(spell, spell.reference[:-1]), (spell, spell.reference + "x"), (legs, str(int(legs.reference) + 1)),
             (legs, f"{legs.reference} legs"), (legs, f" {legs.reference}\n")]  # fmt: skip
    assert [v.right for v in judge(pairs)] == [False, False, False, False, True]


def test_sorted_numbers_must_be_the_numbers_that_were_given():
    entry = {"answer": "['3.0', '50.0', '51.0']",
             "metadata": {"direction": "ascending", "sorted_numbers": ["3.0", "50.0", "51.0"]}}  # fmt: skip
    sorting = Problem("k", "s", (), entry["answer"], "reasoning-gym:number_sorting", "", {"entry": entry})
    # The family's own scorer gives the second full marks: each number is within 1 of the right one.
    verdicts = judge([(sorting, "['3', '50', '51']"), (sorting, "['3', '50', '50']"), (sorting, "['3', '51', '50']")])
    assert [v.score for v in verdicts] == [1.0, 0.0, 0.0]


def test_scorers_that_look_at_the_options_get_those_of_the_problem():
    text = "10.1235"
    entry = {"answer": "10.12345678", "question": "", "metadata": {}}
    scores = []
    for places in (3, 8):
        options = {"max_num_decimal_places": places, "precision": places + 5}
        problem = Problem(str(places), "s", (), entry["answer"], "reasoning-gym:decimal_arithmetic", "",
                          {"entry": entry, "options": options})  # fmt: skip
        scores.append(judge([(problem, text)])[0].score)
    assert scores == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_animal": 3}, "reasoning-gym:leg_counting has no option 'max_animal'; did you mean max_animals"),
        ({"seed": 3}, "The option 'seed' of reasoning-gym:leg_counting comes from the run; leave it out."),
        ({"max_animals": "many"}, "The option 'max_animals' of reasoning-gym:leg_counting is 'many'; it must be of"),
        ({"max_animals": True}, "The option 'max_animals' of reasoning-gym:leg_counting is True; it must be"),
        ({"max_animals": 99}, "refuses the options {'max_animals': 99}: max_animals must be <="),
    ],
)  # fmt: skip
def test_wrong_options_are_sentences(options: dict[str, object], sentence: str):
    with pytest.raises(SettingsError) as caught:
        reasoning_gym.make("leg_counting", options)
    assert sentence in str(caught.value)
