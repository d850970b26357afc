"""Who asks what, and when: decided by the seed alone, before anything is answered."""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from loopwise.errors import UsageError
from loopwise.people.behaviors.attacker import Attackers
from loopwise.people.population import Person
from loopwise.types import Problem

_DAY_MINUTES = 1_440.0


@dataclass(frozen=True)
class Visit:
    """One question that one person asks. ``place`` is when, in [0, 1) of the whole time; everything that chance decides
    about it later comes from ``rng``, which ``name`` seeds; ``attack`` marks a question asked to poison."""

    place: float
    name: str
    person: Person
    problem: Problem
    rng: random.Random
    attack: bool = False


@dataclass(frozen=True)
class Use:
    """What is to happen: ``events`` questions by ``people``, in order of ``problems`` (from the start again when they
    end), and those of attackers on top. ``days`` is the simulated time, 0 for none; ``verified`` the share of answers
    that a checker judges, too."""

    problems: Sequence[Problem]
    people: Sequence[Person]
    events: int
    seed: int
    days: float = 0.0
    verified: float = 0.0


def visits(use: Use) -> Iterator[Visit]:
    """All of them, by time. Raises UsageError where somebody has nothing to ask."""
    if not use.problems or not use.people:
        raise UsageError("A simulation needs at least one problem and one person.")
    return heapq.merge(_ordinary(use), sorted(_attacks(use), key=_PLACE), key=_PLACE)


def total(use: Use) -> int:
    """How many visits there are."""
    return use.events + sum(group.events * (1 + _cover(group)) for group, _ in _attackers(use).values())


_PLACE = attrgetter("place")


def _ordinary(use: Use) -> Iterator[Visit]:
    people = [person for person in use.people if not isinstance(person.settings, Attackers)]
    if use.events and not people:
        raise UsageError("Nobody is there but attackers: ask for at least one person more.")
    asked = {name: _of_segment(use.problems, name) for name in {person.settings.segment for person in people}}
    for number in range(use.events):
        name = f"{use.seed} {number}"
        rng = random.Random(name)  # of its own, so that the order of answers changes nothing
        person = rng.choice(people)
        problems = asked[person.settings.segment]
        within = random.Random(f"at {name}").random() if use.days else 0.5
        yield Visit((number + within) / use.events, name, person, problems[number % len(problems)], rng)


def _of_segment(problems: Sequence[Problem], segment: str | None) -> Sequence[Problem]:
    found = problems if segment is None else [problem for problem in problems if segment_of(problem) == segment]
    if not found:
        known = ", ".join(sorted({segment_of(problem) for problem in problems}))
        raise UsageError(
            f"No question belongs to the segment {segment!r}, which a group asks about; there are: {known}."
        )
    return found


def segment_of(problem: Problem) -> str:
    """The name by which a group may ask for this kind of question: its segment, else the family it was made from."""
    return problem.segment or problem.source.partition("?")[0].rpartition(":")[2]


def _attackers(use: Use) -> dict[str, tuple[Attackers, list[Person]]]:
    """Their settings and accounts, by group."""
    found: dict[str, tuple[Attackers, list[Person]]] = {}
    for person in use.people:
        if isinstance(person.settings, Attackers):
            found.setdefault(person.group, (person.settings, []))[1].append(person)
    return found


def _cover(group: Attackers) -> int:
    return group.cover if group.adaptive else 0


def _attacks(use: Use) -> Iterator[Visit]:
    for name, (group, accounts) in _attackers(use).items():
        if group.events:
            yield from _of_group(use, name, group, accounts)


def _of_group(use: Use, name: str, group: Attackers, accounts: Sequence[Person]) -> Iterator[Visit]:
    """The pushes, one account after the other, and what covers them."""
    trigger = re.compile(group.trigger)
    wanted = [p for p in _of_segment(use.problems, group.segment) if trigger.search(question(p))]
    if not wanted:
        raise UsageError(
            f"[groups.{name}] trigger = {group.trigger!r} is found in none of {len(use.problems)} questions: correct "
            "it, or have more asked."
        )
    rng = random.Random(f"attack {use.seed} {name}")
    rng.shuffle(wanted)
    for k, place in enumerate(_places(group, use.days, rng)):
        person = accounts[k % len(accounts)]
        for part in range(1 + _cover(group)):
            own = f"attack {use.seed} {name} {k} {part}"
            chance = random.Random(own)
            problem, when = (
                (wanted[k % len(wanted)], place) if part == 0 else (chance.choice(use.problems), rng.random())
            )
            yield Visit(when, own, person, problem, chance, attack=part == 0)


def _places(group: Attackers, days: float, rng: random.Random) -> Iterable[float]:
    """When the pushes come: evenly over the whole time, or within one burst."""
    begin = rng.random()
    if group.adaptive:  # evenly, because chance would now and then put one more into a day than its account may
        return [(k + begin) / group.events for k in range(group.events)]
    length = min(group.burst_minutes / (_DAY_MINUTES * days), 0.5) if days else 0.0  # without time, one after the other
    return [begin * (1.0 - length) + length * k / group.events for k in range(group.events)]


def question(problem: Problem) -> str:
    """What was asked last, as text."""
    content = problem.messages[-1]["content"]
    return content if isinstance(content, str) else ""
