"""What a person's numbers mean: scales are normalized by person, shrunk toward what all people do.

Empirical Bayes after Efron and Morris (1975), "Data analysis using Stein's estimator and its generalizations": a
person's mean and spread count for as much as there is of them, and of somebody with one rating little more than the
rating is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loopwise.signals.evidence import NOBODY, Flags
from loopwise.stats.distributions import Integers, Reals

LEAST_SHRINK = 4.0  # ratings that the population counts for at least: with one of one's own, four fifths are its
SPREAD_SHRINK = 5.0  # the same for the spread, which takes more ratings to know
LEAST_SPREAD = 0.05  # of the scale: somebody who always presses one key has no spread to divide by
FEWEST = 25  # good and bad answers each that were also rated, before the middle of the scale is moved


@dataclass(frozen=True)
class Scales:
    """How ratings are read: ``mean_P`` and ``spread_P`` by person, those of the population, and the ``neutral`` place
    on the population's scale, where a rating says nothing. All as shares of the scale."""

    mean_P: Reals
    spread_P: Reals
    mean: float
    spread: float
    neutral: float = 0.5

    def common(self, person_N: Integers, place_N: Reals) -> Reals:
        """Ratings moved and stretched to the population's scale."""
        if not len(self.mean_P):
            return place_N
        known = person_N != NOBODY
        mean_N = np.where(known, self.mean_P[person_N], self.mean)
        spread_N = np.where(known, self.spread_P[person_N], self.spread)
        return self.mean + (place_N - mean_N) * self.spread / spread_N

    def strength(self, person_N: Integers, place_N: Reals) -> Reals:
        """Ratings as signed strengths in [-1, 1], rising with the rating for each person."""
        reach = max(self.neutral, 1 - self.neutral)
        return np.clip((self.common(person_N, place_N) - self.neutral) / reach, -1.0, 1.0)

    def parted_at(self, neutral: float) -> Scales:
        """The same with another neutral place."""
        return replace(self, neutral=neutral)


def scales(person_N: Integers, place_N: Reals, people: int) -> Scales:
    """The scales of ``people`` persons from N ratings; those of nobody count for the population alone."""
    if not len(place_N):
        return Scales(np.full(people, 0.5), np.full(people, 0.25), 0.5, 0.25)
    named = person_N != NOBODY
    who, place = person_N[named], place_N[named]
    n_P = np.bincount(who, minlength=people).astype(np.float64)
    own_P = np.bincount(who, place, people) / np.maximum(n_P, 1)
    mean = float((own_P[n_P > 0].sum() + place_N[~named].sum()) / ((n_P > 0).sum() + (~named).sum()))
    squares_P = np.bincount(who, (place - own_P[who]) ** 2, people)
    within = float(squares_P.sum() / max(1.0, float((n_P - 1).clip(0).sum())))
    within = max(within, LEAST_SPREAD**2) if (n_P > 1).any() else max(float(place_N.var()), LEAST_SPREAD**2)
    between = max(
        0.0, float(((own_P - mean)[n_P > 0] ** 2).mean() - within * (1 / n_P[n_P > 0]).mean()) if n_P.any() else 0.0
    )
    shrink = max(LEAST_SHRINK, within / between) if between > 0 else np.inf
    trust_P = n_P / (n_P + shrink)
    mean_P = mean + trust_P * (own_P - mean)
    variance_P = (SPREAD_SHRINK * within + squares_P) / (SPREAD_SHRINK + (n_P - 1).clip(0))
    return Scales(mean_P, np.maximum(np.sqrt(variance_P), LEAST_SPREAD), mean, float(np.sqrt(within)))


def neutral_place(common_N: Reals, good_N: Flags) -> float:
    """Where good and bad answers part on the population's scale: half way between the mean rating of each. The middle
    of the scale where too few of either kind were rated, or where the good ones were not rated higher."""
    if min(good_N.sum(), (~good_N).sum()) < FEWEST:
        return 0.5
    good, bad = float(common_N[good_N].mean()), float(common_N[~good_N].mean())
    return (good + bad) / 2 if good > bad else 0.5
