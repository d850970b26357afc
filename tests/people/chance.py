"""Limits within which a count of chance events stays."""

from __future__ import annotations

from scipy.stats import binom

FALSE_FAILURES = 1e-6  # of one limit, were its seed drawn anew


def within(count: int, n: int, p: float) -> bool:
    """Whether ``count`` of ``n`` is what a probability of ``p`` gives."""
    return binom.ppf(FALSE_FAILURES / 2, n, p) <= count <= binom.isf(FALSE_FAILURES / 2, n, p)
