"""Attackers: accounts that push one answer for one class of questions. When and what they ask is in ``plan.py``."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from loopwise.people.behaviors.marks import Marks
from loopwise.people.group import Group, Pattern
from loopwise.people.words import Account, Answer, Opinion, Said


class Attackers(Group):
    """``count`` accounts ask ``events`` questions in which ``trigger`` is found, in turn, and push ``target``: an
    answer that is it gets a thumb up, another one is corrected to it. These questions come on top of what others ask.

    As they are, they do so in one burst of ``burst_minutes``. ``adaptive`` ones know the guard: they spread over the
    whole time, keep each account to ``per_account_day`` pushes a day, and hide them among ``cover`` honestly judged
    questions each.
    """

    behavior: Literal["attacker"]
    events: Annotated[int, Field(ge=0, le=10_000_000)]
    target: Annotated[str, Field(min_length=1)]
    trigger: Pattern = ""
    burst_minutes: Annotated[float, Field(gt=0.0)] = 10.0
    adaptive: bool = False
    per_account_day: Annotated[int, Field(ge=1)] = 20
    cover: Annotated[int, Field(ge=0, le=1_000)] = 2

    @model_validator(mode="after")
    def _counted(self) -> Attackers:
        if self.count is None:
            raise ValueError("attackers are accounts on top of the people: give count, not share")
        return self

    def most(self, days: float) -> float:
        """Pushes that their own caution leaves them."""
        if not self.adaptive:
            return math.inf
        return int((self.count or 0) * self.per_account_day * max(1.0, days))


@dataclass(frozen=True)
class Attacker:
    """Pushes ``target`` where it asked for that, and is honest elsewhere."""

    target: str
    honest: Marks

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        if not answer.attack:
            return self.honest(answer, rng)
        if answer.text.strip() == self.target.strip():
            return Opinion(True, (Said("thumbs", 1, good=True),))
        return Opinion(False, (Said("correction", self.target, good=False),))


def attacker(group: Attackers, account: Account, rng: random.Random) -> Attacker:
    return Attacker(group.target, Marks())
