"""Who asks what, and when: what attackers do is planned, so that their dose is what was ordered."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loopwise.errors import UsageError
from loopwise.people.plan import Use, Visit, question, total, visits
from loopwise.people.population import population
from loopwise.people.settings import parse
from loopwise.types import Problem

HONEST = "[groups.honest]\nbehavior = 'honest'\nshare = 1.0\n"
ATTACK = "[groups.evil]\nbehavior = 'attacker'\ncount = 5\nevents = 60\ntarget = '7'\ntrigger = '^sum'\n"


def a_problem(number: int) -> Problem:
    kind = "sum" if number % 3 else "word"
    return Problem(str(number), f"test:{kind}", ({"role": "user", "content": f"{kind} {number}"},), "1", "exact")


PROBLEMS = [a_problem(number) for number in range(300)]


def planned(text: str, events: int = 500, days: float = 0.0, seed: int = 1) -> list[Visit]:
    settings = parse((f"days = {days}\n" if days else "") + text, "x")
    use = Use(PROBLEMS, population(20, 3, settings), events, seed, settings.days)
    found = list(visits(use))
    assert len(found) == total(use)
    assert all(a.place <= b.place for a, b in pairwise(found))
    assert all(0 <= visit.place < 1 for visit in found)
    return found


def essence(found: list[Visit]) -> list[tuple[float, str, str, str, float]]:
    return [(v.place, v.name, v.person.id, v.problem.key, v.rng.random()) for v in found]


def test_attackers_ask_what_triggers_as_often_as_ordered_in_turn():
    pushes = [visit for visit in planned(HONEST + ATTACK) if visit.attack]
    assert len(pushes) == 60
    assert sorted(Counter(visit.person.id for visit in pushes).values()) == [12] * 5
    assert all(question(visit.problem).startswith("sum") for visit in pushes)
    assert len({(visit.person.id, visit.problem.key) for visit in pushes}) == 60


def test_what_others_ask_is_the_same_whatever_the_dose():
    alone = essence(planned(HONEST))
    for events in (0, 10, 60):
        attacked = planned(HONEST + ATTACK.replace("60", str(events)))
        assert essence([visit for visit in attacked if visit.person.group == "honest"]) == alone


def test_a_burst_is_one_without_time_and_lasts_its_minutes_with_it():
    for days in (0.0, 10.0):
        found = planned(HONEST + ATTACK + "burst_minutes = 30", days=days)
        places = [visit.place for visit in found if visit.attack]
        assert (max(places) - min(places)) * days * 1_440 <= 30
        between = [visit for visit in found if min(places) < visit.place < max(places) and not visit.attack]
        assert len(between) <= 5  # of 500 in ten days, 1 falls into half an hour


def test_those_who_know_the_guard_stay_below_it_and_hide():
    found = planned(HONEST + ATTACK + "adaptive = true\nper_account_day = 2\ncover = 3", days=6.0)
    own = [visit for visit in found if visit.person.group == "evil"]
    pushes = [visit for visit in own if visit.attack]
    assert (len(pushes), len(own)) == (60, 240)
    for account in {visit.person.id for visit in pushes}:
        at = [visit.place * 6.0 for visit in pushes if visit.person.id == account]  # days
        assert max(sum(start <= other < start + 1.0 - 1e-9 for other in at) for start in at) == 2
        assert Counter(visit.attack for visit in own if visit.person.id == account) == {True: 12, False: 36}
    assert {question(visit.problem).split()[0] for visit in own if not visit.attack} == {"sum", "word"}


def test_the_seed_decides_everything():
    text = HONEST + ATTACK + "adaptive = true"
    assert (
        essence(planned(text, days=3.0)) == essence(planned(text, days=3.0)) != essence(planned(text, days=3.0, seed=2))
    )


def test_a_group_asks_about_its_segment_alone():
    text = HONEST.replace("1.0", "0.5") + "[groups.b]\nbehavior = 'lazy'\nshare = 0.5\nsegment = 'word'"
    asked = Counter((visit.person.group, question(visit.problem).split()[0]) for visit in planned(text))
    assert asked["b", "sum"] == 0
    assert min(asked["b", "word"], asked["honest", "word"], asked["honest", "sum"]) > 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            HONEST + "segment = 'no'",
            "No question belongs to the segment 'no', which a group asks about; there are: sum, w",
        ),
        (
            HONEST + ATTACK.replace("^sum", "^nope"),
            r"\[groups.evil\] trigger = '\^nope' is found in none of 300 questions",
        ),
    ],
)
def test_who_has_nothing_to_ask_is_told_so(text: str, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        planned(text)


def test_nobody_or_nothing_to_ask_is_an_error():
    people = population(20, 3, parse(HONEST + ATTACK, "x"))
    with pytest.raises(UsageError, match="at least one problem and one person"):
        visits(Use([], people, 5, 1))
    with pytest.raises(UsageError, match="Nobody is there but attackers"):
        list(visits(Use(PROBLEMS, people[20:], 5, 1)))
