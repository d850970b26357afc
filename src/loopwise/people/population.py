"""Who the simulated people are, and what they say of an answer whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["honest", "noisy", "careless"]

NOISY_SHARE = 0.2
CARELESS_SHARE = 0.1
P_THUMB = 0.9
P_CORRECT = 0.5


@dataclass(frozen=True)
class Person:
    """One simulated person. All numbers are probabilities.

    ``noise``: to take a right answer for wrong or a wrong one for right, and to correct wrongly. ``p_thumb``: to give a
    thumb at all. ``p_correct``: to correct an answer that they take for wrong.
    """

    id: str
    kind: Kind
    noise: float
    p_thumb: float
    p_correct: float


@dataclass(frozen=True)
class Opinion:
    """What a person says of one answer: a thumb (1, -1 or None), and the right answer as they see it, or None."""

    thumb: int | None
    correction: str | None


def population(n: int, seed: int) -> list[Person]:
    """``n`` people: 20 % noisy (wrong in 10 to 30 % of cases), 10 % careless (their thumbs are coins), the rest honest.

    The shares are exact up to rounding; the seed decides who is which.
    """
    rng = random.Random(f"people {seed}")
    n_noisy, n_careless = round(n * NOISY_SHARE), round(n * CARELESS_SHARE)
    counts: dict[Kind, int] = {"noisy": n_noisy, "careless": n_careless, "honest": n - n_noisy - n_careless}
    kinds: list[Kind] = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    return [_person(f"person-{seed}-{i}", kind, rng) for i, kind in enumerate(kinds)]


def _person(id: str, kind: Kind, rng: random.Random) -> Person:
    match kind:
        case "honest":
            return Person(id, kind, 0.0, P_THUMB, P_CORRECT)
        case "noisy":
            return Person(id, kind, rng.uniform(0.1, 0.3), P_THUMB, P_CORRECT)
        case "careless":
            return Person(id, kind, 0.5, P_THUMB, 0.0)


def opinion(
    person: Person, right: bool, reference: str | None, is_right: Callable[[str], bool], rng: random.Random
) -> Opinion:
    """What ``person`` says of an answer that is in truth ``right``. ``is_right`` judges another answer to the same."""
    taken_for_right = right != (rng.random() < person.noise)
    thumb = (1 if taken_for_right else -1) if rng.random() < person.p_thumb else None
    correction = None
    if not taken_for_right and reference is not None and rng.random() < person.p_correct:
        # Whoever takes a right answer for wrong has a wrong one in mind.
        misled = right or rng.random() < person.noise
        correction = _wrong(reference, is_right, rng) if misled else reference
    return Opinion(thumb, correction)


def _wrong(reference: str, is_right: Callable[[str], bool], rng: random.Random) -> str | None:
    """An answer near the right one that is wrong; None when ten tries find none."""
    for _ in range(10):
        place = rng.randrange(len(reference) + 1)
        slip = rng.choice("0123456789" if any(c.isdigit() for c in reference) else "abcdefghijklmnopqrstuvwxyz")
        text = reference[:place] + slip + reference[place + 1 :]
        if not is_right(text):
            return text
    return None
