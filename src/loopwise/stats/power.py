"""What a paired comparison can show: power, the smallest difference it sees, and the questions it needs.

The truth is described by ``difference`` (candidate minus champion, a share of 1) and ``discordance`` (the share of
questions that exactly one of them gets right); gains have probability (discordance + difference) / 2, losses
(discordance - difference) / 2. Both powers are exact: sums over every outcome of the trinomial, no normal
approximation. "Exact" is of the test as it is run, so non-inferiority by the score test includes that test's own error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from loopwise.errors import UsageError
from loopwise.stats.distributions import (
    Integers,
    binomial_at_least,
    binomial_critical,
    binomial_exactly,
    binomial_range,
    first_true,
    normal_quantile,
)
from loopwise.stats.paired import tango_z

MOST_QUESTIONS = 1_000_000  # beyond this the answer is "more than anybody will ask"
TAIL = 1e-12  # probability left out of the sum over discordant counts, on either side


def superiority_power(n: int, discordance: float, difference: float, alpha: float = 0.025) -> float:
    """Probability that the exact McNemar test at one-sided ``alpha`` shows the candidate better. Raises UsageError
    unless |difference| <= discordance <= 1, n >= 1 and 0 < alpha < 0.5."""
    _refuse_truth(n, discordance, difference, alpha)
    discordant_D = binomial_range(n, discordance, TAIL)
    needed_D = _critical_gains(alpha, 1 << int(discordant_D[-1]).bit_length())[discordant_D]
    return _total(n, discordance, difference, discordant_D, needed_D)


def noninferiority_power(n: int, discordance: float, difference: float, margin: float, alpha: float = 0.05) -> float:
    """Probability that the score test at one-sided ``alpha`` shows the candidate worse by less than ``margin``.

    At ``difference`` = -margin this is the test's true false-positive rate. Raises UsageError unless
    |difference| <= discordance <= 1, 0 < margin < 1, n >= 1 and 0 < alpha < 0.5."""
    _refuse_truth(n, discordance, difference, alpha)
    if not 0 < margin < 1:
        raise UsageError(f"A margin is a share of 1, such as 0.05 for 5 points; it was {margin}.")
    discordant_D = binomial_range(n, discordance, TAIL)
    z = normal_quantile(1 - alpha)
    needed_D = first_true(lambda gains_D: tango_z(gains_D, discordant_D - gains_D, n, -margin) > z, discordant_D + 1)
    return _total(n, discordance, difference, discordant_D, needed_D)


def detectable_difference(n: int, discordance: float, alpha: float = 0.025, power: float = 0.8) -> float | None:
    """Smallest true gain that the superiority test shows with probability ``power``, within 1e-4; None where not even
    a difference as large as the discordance (all gains, no losses) is shown that often."""
    if superiority_power(n, discordance, discordance, alpha) < power:
        return None
    low, high = 0.0, discordance
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if superiority_power(n, discordance, middle, alpha) >= power else (middle, high)
    return high


@lru_cache(maxsize=4096)
def superiority_questions(
    discordance: float, difference: float, alpha: float = 0.025, power: float = 0.8
) -> int | None:
    """Questions needed to show a true gain of ``difference`` with probability ``power``; None beyond a million."""
    return _fewest(lambda n: superiority_power(n, discordance, difference, alpha), power)


@lru_cache(maxsize=4096)
def noninferiority_questions(
    discordance: float, margin: float, difference: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Questions needed to show a loss of less than ``margin`` with probability ``power``, when the true difference is
    ``difference``; None beyond a million."""
    return _fewest(lambda n: noninferiority_power(n, discordance, difference, margin, alpha), power)


@lru_cache(maxsize=64)
def _critical_gains(alpha: float, size: int) -> Integers:
    """Gains that prove superiority among 0 ... size - 1 discordant answers: searches for n ask for the same ones."""
    return binomial_critical(alpha, np.arange(size), 0.5)


def _total(
    n: int,
    discordance: float,
    difference: float,
    discordant_D: Integers,
    needed_D: Integers,
) -> float:
    gain_share = 0.5 + difference / (2 * discordance) if discordance > 0 else 0.5
    chance_D = binomial_exactly(discordant_D, n, discordance)
    shown_D = binomial_at_least(needed_D, discordant_D, gain_share)
    return min(1.0, float(np.sum(chance_D * shown_D)))


def _fewest(power_at: Callable[[int], float], power: float) -> int | None:
    """Power rises with n but for steps of a fraction of a percent, so halving finds the n to within such a step."""
    low, high = 0, 1
    while power_at(high) < power:
        low, high = high, high * 2
        if high > MOST_QUESTIONS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high


def _refuse_truth(n: int, discordance: float, difference: float, alpha: float) -> None:
    if n < 1 or not 0 < alpha < 0.5:
        raise UsageError(f"Power needs n of at least 1 and alpha in (0, 0.5); they were {n} and {alpha}.")
    if not abs(difference) <= discordance <= 1:
        raise UsageError(
            f"A difference of {difference} cannot come from a discordance of {discordance}: the discordance is at "
            f"least as large as the difference and at most 1."
        )
