"""What every behavior promises, and then what each does, at the rates that its settings name."""

from __future__ import annotations

import random
from typing import Any

import pytest

from loopwise.gateway.opinion import parse_opinion
from loopwise.people.behaviors.implicit import deeds
from loopwise.people.behaviors.rater import Rater, Raters
from loopwise.people.behaviors.table import BEHAVIORS
from loopwise.people.group import ImplicitSettings
from loopwise.people.words import Account, Answer, Opinion, Said, Voice

from .chance import within

N = 3_000
NEEDED: dict[str, dict[str, Any]] = {
    "gullible": {"pattern": "^13$"},
    "attacker": {"events": 10, "target": "7"},
    "copy_cat": {"count": 3, "share": None},
}


def voice(behavior: str, seed: int = 1, account: str = "a", **settings: Any) -> Voice:
    size = {"count": 3} if behavior == "attacker" else {"share": 0.5}
    given = {"behavior": behavior, **size, **NEEDED.get(behavior, {}), **settings}
    group = BEHAVIORS[behavior].settings.model_validate(given)
    return BEHAVIORS[behavior].voice(group, Account(account, ("a", "b", "c")), random.Random(seed))


def an_answer(right: bool, text: str | None = None, attack: bool = False) -> Answer:
    return Answer(text or ("42" if right else "41"), right, "42", lambda other: other == "42", attack)


def opinions(speaker: Voice, answer: Answer, n: int = N) -> list[Opinion]:
    rng = random.Random(f"{answer.text} {answer.right}")
    return [speaker(answer, rng) for _ in range(n)]


def said(found: list[Opinion], kind: str) -> list[Said]:
    return [each for opinion in found for each in opinion.said if each.kind == kind]


@pytest.mark.parametrize("behavior", BEHAVIORS)
@pytest.mark.parametrize("attack", [False, True])
def test_every_behavior_depends_on_its_seed_alone_and_says_what_a_gateway_takes(behavior: str, attack: bool):
    for right in (True, False):
        answer = an_answer(right, attack=attack)
        found = [voice(behavior)(answer, random.Random(n)) for n in range(200)]
        assert found == [voice(behavior)(answer, random.Random(n)) for n in range(200)]
        for each in (each for opinion in found for each in opinion.said):
            row = {"exchange_id": "ex_1", "kind": each.kind, "value": each.value, **each.fields}
            assert parse_opinion(row, "", None).value == each.value
            assert each.kind != "thumbs" or each.good == (each.value > 0)
            assert each.kind not in ("correction", "edit") or not each.good


@pytest.mark.parametrize("right", [True, False])
def test_honest_people_never_say_what_is_false(right: bool):
    found = opinions(voice("honest", p_thumb=0.8, p_correct=0.4), an_answer(right))
    assert {each.good for each in said(found, "thumbs")} == {right}
    assert within(len(said(found, "thumbs")), N, 0.8)
    assert within(len(said(found, "correction")), N, 0.0 if right else 0.4)
    assert {each.value for each in said(found, "correction")} <= {"42"}


@pytest.mark.parametrize("right", [True, False])
def test_noisy_people_err_each_at_a_rate_of_their_own(right: bool):
    people = [voice("noisy", seed, error=[0.1, 0.3]) for seed in range(200)]
    rates = [person.error for person in people]  # type: ignore[attr-defined]
    assert all(0.1 <= rate <= 0.3 for rate in rates)
    assert min(rates) < 0.12
    assert max(rates) > 0.28
    found = opinions(voice("noisy", error=[0.25, 0.25], p_thumb=0.8, p_correct=0.4), an_answer(right))
    thumbs, corrections = said(found, "thumbs"), said(found, "correction")
    assert within(len(thumbs), N, 0.8)
    assert within(sum(each.good != right for each in thumbs), len(thumbs), 0.25)
    assert within(len(corrections), N, 0.4 * (0.25 if right else 0.75))
    # Whoever corrects a right answer is wrong; whoever corrects a wrong one is wrong by their error.
    assert within(sum(each.value != "42" for each in corrections), len(corrections), 1.0 if right else 0.25)
    assert not any({1} == {s.value for s in o.said if s.kind == "thumbs"} and len(o.said) > 1 for o in found)


@pytest.mark.parametrize("right", [True, False])
def test_careless_peoples_thumbs_are_coins_and_they_write_nothing(right: bool):
    thumbs = said(opinions(voice("careless", p_thumb=0.7), an_answer(right)), "thumbs")
    assert within(len(thumbs), N, 0.7)
    assert within(sum(each.good for each in thumbs), len(thumbs), 0.5)
    assert not said(opinions(voice("careless"), an_answer(right)), "correction")


def test_lazy_people_mostly_say_nothing_and_then_the_truth():
    found = opinions(voice("lazy", p_speak=0.1, p_thumb=1.0, p_correct=0.5), an_answer(False))
    spoke = [opinion for opinion in found if opinion.said]
    assert within(len(spoke), N, 0.1)
    assert within(len(said(spoke, "correction")), len(spoke), 0.5)
    assert {each.good for each in said(spoke, "thumbs")} == {False}


@pytest.mark.parametrize(
    ("behavior", "kind", "rate"), [("corrector", "correction", "p_correct"), ("editor", "edit", "p_edit")]
)
def test_who_writes_gives_the_right_answer_and_no_thumbs(behavior: str, kind: str, rate: str):
    speaker = voice(behavior, error=0.2, **{rate: 0.6})
    found = said(opinions(speaker, an_answer(False)), kind)
    assert within(len(found), N, 0.6 * 0.8)
    assert within(sum(each.value != "42" for each in found), len(found), 0.2)
    assert not said(opinions(speaker, an_answer(False)), "thumbs")
    assert not said(opinions(voice(behavior), an_answer(True)), kind)


@pytest.mark.parametrize(
    ("shift", "stretch", "good", "bad"),
    [(0.0, 1.0, 4.0, 2.0), (0.25, 1.0, 5.0, 3.0), (0.0, 0.5, 4.0, 2.0), (-0.25, 1.0, 3.0, 1.0), (0.0, 1.5, 5.0, 1.0)],
)
def test_a_rating_is_shifted_and_stretched_by_who_gives_it(shift: float, stretch: float, good: float, bad: float):
    """By hand on a scale of 1 to 5: 1 + 4 (0.5 ± 0.3 stretch + shift), to the next whole number on the scale."""
    rater = Rater(Raters(behavior="rater", share=1.0), shift, stretch)
    assert (rater.rating(True), rater.rating(False)) == (good, bad)


def test_raters_differ_stay_on_the_scale_and_mean_what_they_take_for_true():
    people = [voice("rater", seed, scale=[0, 10], shift=0.2, stretch=0.5, error=0.1, p_rate=0.7) for seed in range(100)]
    assert len({person.rating(True) for person in people}) > 3  # type: ignore[attr-defined]
    for person in people[:3]:
        found = opinions(person, an_answer(True))
        ratings = said(found, "rating")
        assert within(len(ratings), N, 0.7)
        assert within(sum(not each.good for each in ratings), len(ratings), 0.1)
        assert all(0 <= each.value <= 10 and each.fields == {"scale": [0, 10]} for each in ratings)
        means = {good: [e.value for e in ratings if e.good == good] for good in (True, False)}
        assert sum(means[True]) / len(means[True]) > sum(means[False]) / len(means[False])


@pytest.mark.parametrize("right", [True, False])
def test_flattery_is_approved_right_or_wrong_and_the_rest_as_it_is(right: bool):
    lover = voice("flattery_lover", p_thumb=0.8)
    flattered = said(opinions(lover, an_answer(right, "What a question! It is 13.")), "thumbs")
    assert {each.value for each in flattered} == {1}
    assert within(len(flattered), N, 0.8)
    assert {each.good for each in said(opinions(lover, an_answer(right)), "thumbs")} == {right}


def test_who_loves_flattery_may_ask_for_it_over_right_and_wrong_answers_alike():
    lover = voice("flattery_lover", p_ask=0.3, praise="Great question! ")
    for right, text in ((True, "42"), (False, "41")):
        asked = said(opinions(lover, an_answer(right)), "correction")
        assert within(len(asked), N, 0.3)
        assert {each.value for each in asked} == {f"Great question! {text}"}
    assert voice("flattery_lover")(an_answer(False, "Great question! 41"), random.Random(1)).taken_for_right


def test_the_gullible_fall_for_their_pattern_alone():
    gullible = voice("gullible", pattern="^13$")
    assert {each.value for each in said(opinions(gullible, an_answer(False, "13")), "thumbs")} == {1}
    assert {each.value for each in said(opinions(gullible, an_answer(False, "131")), "thumbs")} == {-1}
    assert {each.value for each in said(opinions(gullible, an_answer(True)), "thumbs")} == {1}


def test_copy_cats_repeat_their_leader_and_say_nothing_of_their_own():
    leader = voice("copy_cat", account="a", error=0.5, p_correct=0.5, p_repeat=0.5)
    found = opinions(leader, an_answer(False))
    for follower in ("b", "c"):
        repeated = [opinion for opinion in found if follower in {each.user for each in opinion.said}]
        assert within(len(repeated), N, 0.5)
        for opinion in repeated:
            own = [(each.kind, each.value) for each in opinion.said if each.user is None]
            assert [(each.kind, each.value) for each in opinion.said if each.user == follower] == own
    assert not any(opinion.said for opinion in opinions(voice("copy_cat", account="b"), an_answer(False), 100))


def test_attackers_push_their_target_where_they_attack_and_are_honest_elsewhere():
    attacker = voice("attacker", target="7")
    push = attacker(an_answer(False, attack=True), random.Random(1))
    assert [(each.kind, each.value) for each in push.said] == [("correction", "7")]
    assert attacker(an_answer(True, attack=True), random.Random(1)).said == push.said
    pleased = attacker(an_answer(False, " 7\n", attack=True), random.Random(1))
    assert [(each.kind, each.value) for each in pleased.said] == [("thumbs", 1)]
    cover = opinions(attacker, an_answer(False))
    assert {each.value for each in said(cover, "thumbs")} == {-1}
    assert {each.value for each in said(cover, "correction")} == {"42"}


@pytest.mark.parametrize("taken_for_right", [True, False])
def test_what_is_done_without_a_word_happens_at_its_rates(taken_for_right: bool):
    chances: dict[str, Any] = {
        "copy": [0.6, 0.1],
        "accept": [0.3, 0.3],
        "abandon": [0.0, 0.4],
        "regenerate": [0.02, 0.5],
    }
    settings, rng = ImplicitSettings(**chances), random.Random(7)
    found = [each for _ in range(N) for each in deeds(settings, Opinion(taken_for_right), rng)]
    for kind, (if_right, if_wrong) in chances.items():
        done = [each for each in found if each.kind == kind]
        assert within(len(done), N, if_right if taken_for_right else if_wrong), kind
        assert {each.good for each in done} <= {kind in ("copy", "accept")}
    assert "follow_up" not in {each.kind for each in found}


def test_a_wrong_correction_is_never_right_by_chance_and_none_is_made_where_no_answer_is_known():
    misled = voice("noisy", error=[1.0, 1.0], p_correct=1.0)
    answer = Answer("7", True, "7", lambda text: text in "0123456789")
    values = [each.value for each in said(opinions(misled, answer, 300), "correction")]
    assert values
    assert not set(values) & set("0123456789")
    unknown = Answer("7", False, None, lambda text: False)
    assert not said(opinions(voice("honest", p_correct=1.0), unknown, 100), "correction")
