"""Intervals for one proportion, and for the mean of scores in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwise.errors import UsageError
from loopwise.stats.distributions import beta_quantile, normal_quantile

Scores = Sequence[float] | NDArray[np.float64]

FEW = 5  # fewer right, or fewer wrong, than this: Wilson's coverage dips near 0 and 1, the exact interval's cannot


@dataclass(frozen=True)
class Interval:
    """A share of 1 with its two-sided interval; ``method`` names how it was made."""

    estimate: float
    low: float
    high: float
    n: int
    level: float
    method: str


def wilson(right: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's (1927) score interval for a proportion. Approximate: mean coverage is close to ``level``.

    Raises UsageError unless 0 <= right <= n, n >= 1 and 0 < level < 1."""
    _refuse_impossible(right, n, level)
    z = normal_quantile(0.5 + level / 2)
    share = right / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if right == 0 else float(center - half)  # exact at the ends, where rounding would leave 1e-17
    high = 1.0 if right == n else float(center + half)
    return Interval(share, low, high, n, level, "wilson")


def clopper_pearson(right: int, n: int, level: float = 0.95) -> Interval:
    """Clopper and Pearson's (1934) exact interval for a proportion: coverage is never below ``level``.

    Raises UsageError unless 0 <= right <= n, n >= 1 and 0 < level < 1."""
    _refuse_impossible(right, n, level)
    tail = (1 - level) / 2
    low = 0.0 if right == 0 else beta_quantile(tail, right, n - right + 1)
    high = 1.0 if right == n else beta_quantile(1 - tail, right + 1, n - right)
    return Interval(right / n, low, high, n, level, "clopper-pearson")


def bounded_mean(scores_N: Scores, level: float = 0.95) -> Interval:
    """Interval for the mean of scores in [0, 1] that need not be 0 or 1; no resampling, so no seed.

    Agresti and Coull's (1998) interval carried over from proportions: z^2/2 scores of 0 and z^2/2 of 1 are added before
    the usual normal interval is taken, which gives theirs exactly on 0/1 scores and keeps a width when all scores are
    alike. Approximate; the tests hold its coverage at 0.93 or more for n >= 30 on skewed and lumpy scores. Centered on
    the padded mean, clipped to [0, 1]; ``estimate`` is the plain mean. Raises UsageError for scores that are none, not
    numbers, or outside [0, 1]."""
    scores = _checked(scores_N, level)
    z = normal_quantile(0.5 + level / 2)
    n_padded = len(scores) + z * z
    center = (scores.sum() + z * z / 2) / n_padded
    spread = ((scores - center) ** 2).sum() + z * z / 2 * (center**2 + (1 - center) ** 2)
    half = z * np.sqrt(spread) / n_padded
    low, high = max(0.0, float(center - half)), min(1.0, float(center + half))
    return Interval(float(scores.mean()), low, high, len(scores), level, "agresti-coull mean")


def mean_interval(scores_N: Scores, level: float = 0.95) -> Interval:
    """The interval for headline figures: the mean of N scores in [0, 1], two-sided at ``level``.

    Scores that are all 0 or 1: Wilson's, or Clopper-Pearson's where fewer than five are right or fewer than five
    are wrong. Other scores: ``bounded_mean``. ``method`` of the result says which. Raises UsageError as it does."""
    scores = _checked(scores_N, level)
    if not np.isin(scores, (0.0, 1.0)).all():
        return bounded_mean(scores, level)
    right, n = int(scores.sum()), len(scores)
    interval = clopper_pearson if min(right, n - right) < FEW else wilson
    return interval(right, n, level)


def _checked(scores_N: Scores, level: float) -> NDArray[np.float64]:
    scores = np.asarray(scores_N, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise UsageError(f"An interval needs a list of at least one score; it was given the shape {scores.shape}.")
    wrong = scores[~((scores >= 0) & (scores <= 1))]  # written so that NaN counts as wrong
    if len(wrong):
        raise UsageError(f"Scores lie in [0, 1]; {len(wrong)} of {len(scores)} do not, the first is {wrong[0]}.")
    _refuse_level(level)
    return scores


def _refuse_impossible(right: int, n: int, level: float) -> None:
    if n < 1 or not 0 <= right <= n:
        raise UsageError(f"{right} right of {n} is no proportion: give n of at least 1 and 0 <= right <= n.")
    _refuse_level(level)


def _refuse_level(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"A confidence level lies between 0 and 1, such as 0.95; it was {level}.")
