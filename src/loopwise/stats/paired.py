"""Two releases on the same questions: exact superiority, the score interval of the difference, non-inferiority.

``gains`` are questions that the candidate answers right and the champion wrong, ``losses`` the reverse, ``n`` all
questions asked; the difference is (gains - losses) / n. Questions must be independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwise.errors import UsageError
from loopwise.stats.distributions import binomial_at_least, crossing, normal_below, normal_quantile
from loopwise.stats.intervals import Interval

Scores = Sequence[float] | NDArray[np.float64]
Reals = NDArray[np.float64]
Counts = int | NDArray[np.int64]

EXACT_SIGNS = 16  # up to this many differing questions all 2^m sign patterns are tried
DRAWS = 20_000  # random sign patterns beyond that
CHUNK = 1_000  # draws held at once: keeps the memory at CHUNK x N


@dataclass(frozen=True)
class PairedCounts:
    """How two releases differ on ``n`` questions."""

    gains: int
    losses: int
    n: int

    @property
    def difference(self) -> float:
        return (self.gains - self.losses) / self.n

    @property
    def discordance(self) -> float:
        return (self.gains + self.losses) / self.n


def count_discordant(champion_N: Scores, candidate_N: Scores) -> PairedCounts:
    """Counts of N scores each, in the same order. Right means a score of at least 1. Raises UsageError for lists
    that are empty or of different lengths."""
    champion, candidate = _paired(champion_N, candidate_N)
    champion_right, candidate_right = champion >= 1.0, candidate >= 1.0
    gains = int((candidate_right & ~champion_right).sum())
    losses = int((champion_right & ~candidate_right).sum())
    return PairedCounts(gains, losses, len(champion))


def mcnemar_superiority(gains: int, losses: int) -> float:
    """One-sided exact p-value for "the candidate is no better" (McNemar 1947, exact conditional form).

    P(Binomial(gains + losses, 1/2) >= gains). Valid at every n: the false-positive rate never exceeds the level."""
    return float(binomial_at_least(gains, gains + losses, 0.5))


def tango_z(gains: Counts, losses: Counts, n: int, difference: float) -> Reals:
    """Tango's (1998) score statistic for the hypothesis that the true difference is ``difference``, in (-1, 1).

    Standard normal under it; falls in ``difference``, rises in ``gains``. Counts broadcast against each other."""
    b, c = np.asarray(gains, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    linear = (2 * n - b + c) * difference - b - c
    constant = -c * difference * (1 - difference)
    q_loss = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * q_loss + difference * (1 - difference))
    return (b - c - n * difference) / np.sqrt(np.maximum(variance, 1e-300))


def tango_interval(gains: int, losses: int, n: int, level: float = 0.95) -> Interval:
    """Two-sided score interval for the paired difference of proportions (Tango 1998, Statistics in Medicine 17:891).

    Either limit alone is one-sided at (1 + level) / 2. Approximate: its true error is enumerated in the tests.
    Raises UsageError unless gains + losses <= n, n >= 1 and 0 < level < 1."""
    _refuse_counts(gains, losses, n)
    if not 0 < level < 1:
        raise UsageError(f"A confidence level lies between 0 and 1, such as 0.95; it was {level}.")
    z = normal_quantile(0.5 + level / 2)
    estimate = (gains - losses) / n
    edge = 1 - 1e-9  # the statistic has no value at -1 and 1

    def limit(target: float, start: float, end: float) -> float:
        return crossing(lambda at: float(tango_z(gains, losses, n, at)) - target, start, end)

    low = -1.0 if losses == n else limit(z, -edge, min(estimate, edge))
    high = 1.0 if gains == n else limit(-z, max(estimate, -edge), edge)
    return Interval(estimate, low, high, n, level, "tango score")


def noninferiority(gains: int, losses: int, n: int, margin: float) -> float:
    """One-sided p-value for "the candidate is worse by ``margin`` or more" (a share of 1, in (0, 1)).

    The score test that the interval inverts: below alpha exactly where the lower limit at level 1 - 2 alpha lies
    above -margin. Approximate, as the interval. Raises UsageError for impossible counts or margins."""
    _refuse_counts(gains, losses, n)
    if not 0 < margin < 1:
        raise UsageError(f"A margin is a share of 1, such as 0.05 for 5 points; it was {margin}.")
    return normal_below(-float(tango_z(gains, losses, n, -margin)))


def sign_flip_superiority(champion_N: Scores, candidate_N: Scores, seed: int = 0) -> float:
    """One-sided p-value for "the candidate scores no higher", for scores with partial credit (Fisher's sign flips).

    Under it the differences are symmetric about 0, so each sign is as likely as its opposite. Exact over all 2^m
    patterns where at most 16 of the N questions differ; else 20,000 seeded patterns counted as Phipson and Smyth
    (2010) do, observed one included, which keeps the test valid. Raises UsageError as ``count_discordant``."""
    champion, candidate = _paired(champion_N, candidate_N)
    gaps = candidate - champion
    gaps = gaps[gaps != 0]
    observed = gaps.sum() - 1e-9  # ties count as at least as large, whatever the order of summation
    m = len(gaps)
    if m <= EXACT_SIGNS:
        patterns = np.arange(2**m, dtype=np.int64)[:, None]
        signs = 2 * ((patterns >> np.arange(m)) & 1) - 1
        return int(np.count_nonzero(signs @ gaps >= observed)) / 2**m
    rng = np.random.default_rng(seed)
    larger = 0
    for _ in range(DRAWS // CHUNK):
        signs = rng.integers(0, 2, size=(CHUNK, m), dtype=np.int8) * 2 - 1
        larger += int((signs @ gaps >= observed).sum())
    return (larger + 1) / (DRAWS + 1)


def _paired(champion_N: Scores, candidate_N: Scores) -> tuple[Reals, Reals]:
    champion, candidate = np.asarray(champion_N, dtype=np.float64), np.asarray(candidate_N, dtype=np.float64)
    if champion.shape != candidate.shape or champion.ndim != 1 or len(champion) == 0:
        raise UsageError(
            f"Paired scores need two lists of one length, at least 1; their shapes are {champion.shape} (champion) "
            f"and {candidate.shape} (candidate)."
        )
    return champion, candidate


def _refuse_counts(gains: int, losses: int, n: int) -> None:
    if n < 1 or gains < 0 or losses < 0 or gains + losses > n:
        raise UsageError(f"{gains} gains and {losses} losses cannot come from {n} questions.")
