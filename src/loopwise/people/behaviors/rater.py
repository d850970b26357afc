"""Raters: a number on a scale, which everybody uses in their own way."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from loopwise.people.group import Chance, Group
from loopwise.people.words import Account, Answer, Opinion, Said

_GOOD, _BAD = 0.8, 0.2  # where an unbiased rater puts an answer between the ends of the scale


def _low_high(scale: list[float]) -> list[float]:
    if scale[0] >= scale[1]:
        raise ValueError("write the scale as [low, high]")
    return scale


Scale = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_low_high)]


class Raters(Group):
    """``shift`` is the most by which a person moves every rating, as a share of the scale; ``stretch`` the most by
    which they spread ratings wider or narrower around its middle, as a share of the distance; ``wobble`` the standard
    deviation from rating to rating. ``step`` is the grain of the scale."""

    behavior: Literal["rater"]
    scale: Scale = Field(default=[1.0, 5.0])
    step: Annotated[float, Field(gt=0.0)] = 1.0
    shift: Annotated[float, Field(ge=0.0, le=0.5)] = 0.2
    stretch: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    wobble: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    error: Chance = 0.0
    p_rate: Chance = 0.9


@dataclass(frozen=True)
class Rater:
    """One person's scale: ``shift`` in [-0.5, 0.5] of it, ``stretch`` a factor around its middle."""

    group: Raters
    shift: float
    stretch: float

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion:
        good = answer.right != (rng.random() < self.group.error)
        if rng.random() >= self.group.p_rate:
            return Opinion(good)
        rating = self.rating(good, rng.gauss(0.0, self.group.wobble))
        return Opinion(good, (Said("rating", rating, good, fields={"scale": list(self.group.scale)}),))

    def rating(self, good: bool, off: float = 0.0) -> float:
        """The rating of an answer that they take for good or bad, ``off`` by a share of the scale."""
        low, high = self.group.scale
        place = 0.5 + self.stretch * ((_GOOD if good else _BAD) - 0.5) + self.shift + off
        wanted = low + round(place * (high - low) / self.group.step) * self.group.step
        return min(max(wanted, low), high)


def rater(group: Raters, account: Account, rng: random.Random) -> Rater:
    shift = rng.uniform(-group.shift, group.shift)
    return Rater(group, shift, rng.uniform(1.0 - group.stretch, 1.0 + group.stretch))
