"""Copy-cats: accounts that repeat what one leader says, on the answers that the leader was given."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import model_validator

from loopwise.people.behaviors.marks import Marks
from loopwise.people.group import Chance, Group
from loopwise.people.words import Account, Answer, Opinion


class CopyCats(Group):
    """The group's first account leads, and errs at the rate ``error``; the others say only what it says, each with
    ``p_repeat``, and ask like everybody."""

    behavior: Literal["copy_cat"]
    error: Chance = 0.5
    p_thumb: Chance = 1.0
    p_correct: Chance = 0.0
    p_repeat: Chance = 1.0

    @model_validator(mode="after")
    def _led(self) -> CopyCats:
        if self.count == 1:
            raise ValueError("a leader needs somebody who copies: give a count of 2 or more")
        return self


@dataclass(frozen=True)
class Leader:
    """Says what ``marks`` says, and so do ``followers``."""

    marks: Marks
    followers: tuple[str, ...]
    p_repeat: float

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        own = self.marks(answer, rng)
        said = list(own.said)
        for follower in self.followers if own.said else ():
            if rng.random() < self.p_repeat:
                said += [replace(each, user=follower) for each in own.said]
        return Opinion(own.taken_for_right, tuple(said))


@dataclass(frozen=True)
class Follower:
    """Has no opinion of its own questions' answers."""

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        return Opinion(answer.right)


def copy_cat(group: CopyCats, account: Account, rng: random.Random) -> Leader | Follower:
    leader, *followers = account.members
    if account.id != leader:
        return Follower()
    return Leader(Marks(group.error, group.p_thumb, group.p_correct), tuple(followers), group.p_repeat)
