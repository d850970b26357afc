"""Settles what people said against each other: several right answers to one prompt, or good and bad of one answer."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwise.curate.identity import answer_id, number, prompt_id, rejected_id
from loopwise.curate.ledger import Ledger
from loopwise.curate.shingles import U64, mixed
from loopwise.curate.spill import spilled
from loopwise.types import Example

STEP = "conflicts"
CORRECTED = "another correction of the same prompt has more people behind it, or is later"
VERIFIED = "a verifier found right what this mark calls bad"
OUTWEIGHED = "the opposite was said of it with more weight"
BALANCED = "the opposite was said of it with the same weight"

NO_VOICE, CORRECTION, GOOD, BAD, RIGHT, PAIR = range(6)
_SIDES = {"demonstration": CORRECTION, "approved": GOOD, "refused": BAD, "practice": RIGHT, "pair": PAIR}

Places = NDArray[np.int64]


def settle_conflicts(examples: Iterable[Example], ledger: Ledger, apart: Container[str] = ()) -> Iterator[Example]:
    """Keeps one side of each contradiction. Comes before deduplication, which would take the voices away.

    - Of differing corrections for one prompt, the answer that most people gave; at a tie, the latest. Each person has
      one voice per prompt, that of their latest correction; all anonymous corrections are one person.
    - Of good and bad marks on one answer to one prompt, the heavier side: each person's greatest weight, added up; at a
      tie, neither. What a verifier found right stays right.
    - Of two pairs that prefer opposite ones of the same two answers, the heavier side; at a tie, neither.

    The people ``apart`` have no voice. Two passes, with the examples on disk and 41 bytes for each in memory.
    """
    with spilled() as spill:
        voices = _Voices()
        for example in examples:
            spill.add(example)
            voices.add(example, apart)
        lost = voices.lost()
        for place, example in enumerate(spill):
            if place in lost:
                ledger.drop(STEP, lost[place], example)
            else:
                yield example


class _Voices:
    """What each example says, as columns of numbers."""

    def __init__(self) -> None:
        self._prompts, self._answers, self._rejected, self._people = array("Q"), array("Q"), array("Q"), array("Q")
        self._weights, self._sides = array("d"), array("B")

    def add(self, example: Example, apart: Container[str]) -> None:
        silent = example.user is not None and example.user in apart
        side = NO_VOICE if silent else _SIDES.get(example.kind, NO_VOICE)
        self._sides.append(side)
        self._prompts.append(prompt_id(example) if side else 0)
        self._answers.append(answer_id(example) if side else 0)
        self._rejected.append(rejected_id(example) if side == PAIR else 0)
        self._people.append(number(example.user or "") if side else 0)
        self._weights.append(example.weight)

    def lost(self) -> dict[int, str]:
        """The places of the examples that lose, each with the reason."""
        said = _Said(
            np.array(self._prompts, np.uint64),
            np.array(self._answers, np.uint64),
            np.array(self._rejected, np.uint64),
            np.array(self._people, np.uint64),
            np.array(self._weights, np.float64),
            np.array(self._sides, np.uint8),
        )
        lost = dict.fromkeys(_outvoted(said), CORRECTED)
        said.sides[list(lost)] = NO_VOICE
        return lost | _contradicted_marks(said) | _contradicted_pairs(said)


@dataclass(frozen=True)
class _Said:
    prompts: U64
    answers: U64
    rejected: U64
    people: U64
    weights: NDArray[np.float64]
    sides: NDArray[np.uint8]


def _outvoted(said: _Said) -> list[int]:
    places = np.flatnonzero(said.sides == CORRECTION)
    lost: list[int] = []
    for group in _groups(said.prompts[places], places):
        answers = said.answers[group]
        if (answers == answers[0]).all():
            continue
        voices = {int(said.people[place]): int(place) for place in group}  # the latest of each person
        behind: defaultdict[int, list[int]] = defaultdict(list)
        for place in voices.values():
            behind[int(said.answers[place])].append(place)
        winner = max(behind, key=lambda answer: (len(behind[answer]), max(behind[answer])))
        lost += [int(place) for place in group if int(said.answers[place]) != winner]
    return lost


def _contradicted_marks(said: _Said) -> dict[int, str]:
    places = np.flatnonzero((said.sides != NO_VOICE) & (said.sides != PAIR))
    lost: dict[int, str] = {}
    for group in _groups(mixed(said.prompts[places]) ^ said.answers[places], places):
        against = group[said.sides[group] == BAD]
        favor = group[said.sides[group] != BAD]
        if len(against) and len(favor):
            if (said.sides[favor] == RIGHT).any():
                lost |= dict.fromkeys(against.tolist(), VERIFIED)
            else:
                lost |= _lighter(said, favor, against)
    return lost


def _contradicted_pairs(said: _Said) -> dict[int, str]:
    places = np.flatnonzero(said.sides == PAIR)
    better, worse = said.answers[places], said.rejected[places]
    lost: dict[int, str] = {}
    for group in _groups(mixed(said.prompts[places]) ^ mixed(better) + mixed(worse), places):
        one_way = said.answers[group] == said.answers[group[0]]
        if not one_way.all():
            lost |= _lighter(said, group[one_way], group[~one_way])
    return lost


def _lighter(said: _Said, one: Places, other: Places) -> dict[int, str]:
    weights = [_weight(said, side) for side in (one, other)]
    if abs(weights[0] - weights[1]) <= 1e-9 * sum(weights):  # sums of the same weights in another order are equal
        return dict.fromkeys([*one.tolist(), *other.tolist()], BALANCED)
    return dict.fromkeys((one if weights[0] < weights[1] else other).tolist(), OUTWEIGHED)


def _weight(said: _Said, side: Places) -> float:
    greatest: dict[int, float] = {}
    for place in side:
        person = int(said.people[place])
        greatest[person] = max(greatest.get(person, 0.0), float(said.weights[place]))
    return sum(greatest.values())


def _groups(names: U64, places: Places) -> Iterator[Places]:
    """The places of each name that occurs more than once, in order."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else order
    sizes = np.diff(np.append(begins, len(ordered)))
    for begin, size in zip(begins[sizes > 1], sizes[sizes > 1], strict=True):
        yield places[order[begin : begin + size]]
