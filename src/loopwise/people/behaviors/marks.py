"""People who judge an answer and say so: honest, noisy, lazy, careless, correctors, editors. They differ in numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from loopwise.people.group import Chance, ChanceRange, Group
from loopwise.people.words import Account, Answer, Opinion, Said


@dataclass(frozen=True)
class Marks:
    """All numbers are probabilities. ``error``: to take a right answer for wrong or a wrong one for right, and to
    correct wrongly. ``p_correct``: to write, as ``kind``, what they think is right where they take an answer for wrong.
    ``p_speak``: to say anything at all."""

    error: float = 0.0
    p_thumb: float = 0.9
    p_correct: float = 0.5
    kind: Literal["correction", "edit"] = "correction"
    p_speak: float = 1.0

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        taken_for_right = answer.right != (rng.random() < self.error)
        said: list[Said] = []
        if rng.random() < self.p_thumb:
            said.append(Said("thumbs", 1 if taken_for_right else -1, taken_for_right))
        if not taken_for_right and answer.reference is not None and rng.random() < self.p_correct:
            # Whoever takes a right answer for wrong has a wrong one in mind.
            misled = answer.right or rng.random() < self.error
            text = slip(answer.reference, answer, rng) if misled else answer.reference
            if text is not None:
                said.append(Said(self.kind, text, good=False))
        silent = self.p_speak < 1.0 and rng.random() >= self.p_speak
        return Opinion(taken_for_right, () if silent else tuple(said))


def slip(reference: str, answer: Answer, rng: random.Random) -> str | None:
    """An answer near the right one that is wrong; None when ten tries find none."""
    for _ in range(10):
        place = rng.randrange(len(reference) + 1)
        other = rng.choice("0123456789" if any(c.isdigit() for c in reference) else "abcdefghijklmnopqrstuvwxyz")
        text = reference[:place] + other + reference[place + 1 :]
        if not answer.is_right(text):
            return text
    return None


class Honest(Group):
    """Say what is true."""

    behavior: Literal["honest"]
    p_thumb: Chance = 0.9
    p_correct: Chance = 0.5


class Noisy(Group):
    """Mean well, and err: each person at a rate of their own within ``error``."""

    behavior: Literal["noisy"]
    error: ChanceRange = Field(default=[0.1, 0.3])
    p_thumb: Chance = 0.9
    p_correct: Chance = 0.5


class Careless(Group):
    """Their thumbs are coins."""

    behavior: Literal["careless"]
    p_thumb: Chance = 0.9


class Lazy(Group):
    """Honest, and mostly silent: ``p_speak`` is the probability that an answer gets any feedback."""

    behavior: Literal["lazy"]
    p_speak: Chance = 0.05
    p_thumb: Chance = 0.9
    p_correct: Chance = 0.2


class Correctors(Group):
    """Write the right answer under a wrong one."""

    behavior: Literal["corrector"]
    error: Chance = 0.0
    p_correct: Chance = 0.9


class Editors(Group):
    """Change a wrong answer until it is right, and use that."""

    behavior: Literal["editor"]
    error: Chance = 0.0
    p_edit: Chance = 0.9


def honest(group: Honest, account: Account, rng: random.Random) -> Marks:
    return Marks(p_thumb=group.p_thumb, p_correct=group.p_correct)


def noisy(group: Noisy, account: Account, rng: random.Random) -> Marks:
    return Marks(rng.uniform(*group.error), group.p_thumb, group.p_correct)


def careless(group: Careless, account: Account, rng: random.Random) -> Marks:
    return Marks(0.5, group.p_thumb, p_correct=0.0)


def lazy(group: Lazy, account: Account, rng: random.Random) -> Marks:
    return Marks(p_thumb=group.p_thumb, p_correct=group.p_correct, p_speak=group.p_speak)


def corrector(group: Correctors, account: Account, rng: random.Random) -> Marks:
    return Marks(group.error, 0.0, group.p_correct)


def editor(group: Editors, account: Account, rng: random.Random) -> Marks:
    return Marks(group.error, 0.0, group.p_edit, kind="edit")
