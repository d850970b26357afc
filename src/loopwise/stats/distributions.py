# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""The probability functions of SciPy that this room uses, with types: SciPy ships none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, gammainc, gammaln, ndtr, ndtri, xlog1py, xlogy

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


def binomial_at_least(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Reals:
    """P(Binomial(n, p) >= k), elementwise, for whole k of any sign."""
    k, n, p = np.broadcast_arrays(k, n, p)
    inner = (k > 0) & (k <= n)
    tail = betainc(np.where(inner, k, 1), np.where(inner, n - k + 1, 1), p)
    return np.where(inner, tail, np.where(k <= 0, 1.0, 0.0))


def poisson_at_least(k: ArrayLike, mean: ArrayLike) -> Reals:
    """P(Poisson(mean) >= k), elementwise, for whole k of any sign."""
    k = np.asarray(k)
    return np.where(k > 0, gammainc(np.maximum(k, 1), mean), 1.0)


def binomial_exactly(k: ArrayLike, n: int, p: float) -> Reals:
    """P(Binomial(n, p) = k), elementwise, for 0 <= k <= n."""
    k = np.asarray(k)
    return np.exp(log_choose(n, k) + xlogy(k, p) + xlog1py(n - k, -p))


def binomial_critical(alpha: float, n: ArrayLike, p: float) -> Integers:
    """The smallest k with P(Binomial(n, p) >= k) <= alpha, elementwise; n + 1 where alpha is below P(k = n)."""
    n = np.asarray(n, dtype=np.int64)
    return first_true(lambda k: binomial_at_least(k, n, p) <= alpha, n + 1)


def binomial_range(n: int, p: float, tail: float) -> Integers:
    """The counts of Binomial(n, p) around n p, without less than ``tail`` of probability on either side (Bernstein)."""
    third = -math.log(tail) / 3
    reach = third + math.sqrt(third**2 + 6 * third * n * p * (1 - p))
    return np.arange(max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach)) + 1, dtype=np.int64)


def log_choose(n: ArrayLike, k: ArrayLike) -> Reals:
    """Natural logarithm of the binomial coefficient, elementwise."""
    n, k = np.asarray(n), np.asarray(k)
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1), dtype=np.float64)


def first_true(holds: Callable[[Integers], NDArray[np.bool_]], stop: Integers) -> Integers:
    """The smallest k in 0 ... stop from which on ``holds``, elementwise; ``stop`` itself counts as holding."""
    low, high = np.zeros_like(stop), stop
    while (low < high).any():
        middle = (low + high) // 2
        held = holds(middle)
        low, high = np.where(held, low, np.minimum(middle + 1, high)), np.where(held, middle, high)
    return low


def crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0, within 1e-10; ``high`` or ``low`` where it does not."""
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
