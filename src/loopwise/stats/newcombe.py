"""The difference of two independent proportions: Newcombe (1998), "Interval estimation for the difference between
independent proportions", method 10, which joins two Wilson intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loopwise.errors import UsageError
from loopwise.stats.distributions import normal_quantile


@dataclass(frozen=True)
class Difference:
    """``estimate`` is the first proportion less the second."""

    estimate: float
    low: float
    high: float


def newcombe(first: tuple[float, float], second: tuple[float, float], level: float = 0.95) -> Difference:
    """``(share, n)`` of each; n need not be whole, so that it may be an effective sample size. Raises UsageError for a
    share outside [0, 1] or an n that is not above 0."""
    for share, n in (first, second):
        if not (0 <= share <= 1 and n > 0):
            raise UsageError(f"A share of {share} of {n} is no proportion: give a share in [0, 1] and n above 0.")
    z = normal_quantile(0.5 + level / 2)
    (a, low_a, high_a), (b, low_b, high_b) = (_wilson(share, n, z) for share, n in (first, second))
    estimate = a - b
    return Difference(
        estimate, estimate - math.hypot(a - low_a, high_b - b), estimate + math.hypot(high_a - a, b - low_b)
    )


def _wilson(share: float, n: float, z: float) -> tuple[float, float, float]:
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return share, center - half, center + half
