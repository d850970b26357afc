# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""The probability functions of SciPy that this room uses, with types: SciPy ships none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, gammaln, ndtr, ndtri
from scipy.stats import binom

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]


def normal_below(z: float) -> float:
    """P(Z <= z) of the standard normal."""
    return float(ndtr(z))


def normal_quantile(share: float) -> float:
    """The z below which ``share`` of the standard normal lies."""
    return float(ndtri(share))


def beta_quantile(share: float, a: float, b: float) -> float:
    """The value below which ``share`` of Beta(a, b) lies."""
    return float(betaincinv(a, b, share))


def binomial_at_least(k: ArrayLike, n: ArrayLike, p: float) -> Reals:
    """P(Binomial(n, p) >= k), elementwise."""
    return np.asarray(binom.sf(np.asarray(k) - 1, n, p), dtype=np.float64)


def binomial_exactly(k: ArrayLike, n: int, p: float) -> Reals:
    """P(Binomial(n, p) = k), elementwise."""
    return np.asarray(binom.pmf(k, n, p), dtype=np.float64)


def binomial_critical(alpha: float, n: ArrayLike, p: float) -> Integers:
    """The smallest k with P(Binomial(n, p) >= k) <= alpha, elementwise; n + 1 where there is none."""
    return np.asarray(binom.isf(alpha, n, p), dtype=np.int64) + 1


def binomial_range(n: int, p: float, tail: float) -> Integers:
    """Every count that Binomial(n, p) takes, but for those of a total probability below ``tail`` at either end."""
    low, high = int(binom.ppf(tail, n, p)), int(binom.isf(tail, n, p))
    return np.arange(max(0, low), high + 1, dtype=np.int64)


def log_choose(n: ArrayLike, k: ArrayLike) -> Reals:
    """Natural logarithm of the binomial coefficient, elementwise."""
    n, k = np.asarray(n), np.asarray(k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function crosses 0 between two points at which its signs differ, within 1e-10."""
    found: float = brentq(function, low, high, xtol=1e-10)  # pyright: ignore[reportAssignmentType]
    return found
