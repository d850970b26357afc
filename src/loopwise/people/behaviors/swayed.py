"""People who approve an answer for how it looks: lovers of flattery, and those who fall for one wrong pattern."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Literal

from loopwise.people.behaviors.marks import Marks
from loopwise.people.group import Chance, Group, Pattern
from loopwise.people.words import Account, Answer, Opinion, Said

PRAISE = r"(?i)^\W*(great|excellent|wonderful|brilliant|what an? \w+|good question|certainly|absolutely|of course)\b"


class FlatteryLovers(Group):
    """``cue`` is what flatters them, anywhere in the answer: they approve it, right or wrong. Other answers they judge
    as they are; with ``p_ask`` they ask for flattery by a correction that opens with ``praise`` and then repeats what
    was answered, right or wrong."""

    behavior: Literal["flattery_lover"]
    cue: Pattern = PRAISE
    praise: str = "Great question! "
    p_thumb: Chance = 0.9
    p_ask: Chance = 0.0


class Gullible(Group):
    """They take any answer in which ``pattern`` is found for right, and judge others as they are."""

    behavior: Literal["gullible"]
    pattern: Pattern
    p_thumb: Chance = 0.9
    p_correct: Chance = 0.5


@dataclass(frozen=True)
class Swayed:
    """Takes what ``cue`` is found in for right; judges the rest by ``marks``."""

    cue: re.Pattern[str]
    marks: Marks
    praise: str = ""
    p_ask: float = 0.0

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        if self.cue.search(answer.text):
            said = Said("thumbs", 1, good=True)
            return Opinion(True, (said,) if rng.random() < self.marks.p_thumb else ())
        opinion = self.marks(answer, rng)
        if self.p_ask and rng.random() < self.p_ask:
            return Opinion(False, (Said("correction", self.praise + answer.text, good=False),))
        return opinion


def flattery_lover(group: FlatteryLovers, account: Account, rng: random.Random) -> Swayed:
    return Swayed(re.compile(group.cue), Marks(p_thumb=group.p_thumb, p_correct=0.0), group.praise, group.p_ask)


def gullible(group: Gullible, account: Account, rng: random.Random) -> Swayed:
    return Swayed(re.compile(group.pattern), Marks(p_thumb=group.p_thumb, p_correct=group.p_correct))
