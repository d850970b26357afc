"""The exchange rate: the horizontal gap between learning curves, with intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.exchange_rate.kept import Scores
from benchmarks.exchange_rate.plan import Cell, Shift
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

Array = NDArray[np.float64]
DRAWS = 1_000  # of the bootstrap over seeds
LEVEL = 0.95
Estimate = tuple[float, float, float]  # middle, low, high


@dataclass(frozen=True)
class Curve:
    """A learning curve that never falls: ``scores`` at ``sizes`` examples beyond ``known`` ones."""

    sizes: Array  # (N,)
    scores: Array  # (N,)
    known: int

    def size_for(self, score: float) -> float:
        """The fewest examples with this score: 0 where none are needed, infinite where the curve ends below it.

        Between measured sizes the score is taken to be linear in the logarithm of all examples."""
        if score <= self.scores[0]:
            return 0.0
        if score > self.scores[-1]:
            return math.inf
        after = int(np.argmax(self.scores >= score))
        low, high = self.scores[after - 1], self.scores[after]
        before, then = np.log(self.sizes[after - 1] + self.known), np.log(self.sizes[after] + self.known)
        return float(np.exp(before + (score - low) / (high - low) * (then - before)) - self.known)


def curve(sizes: Sequence[int], scores_SN: Array, known: int) -> Curve:
    """The mean over S seeds as a curve that never falls (isotonic regression: least squares)."""
    return Curve(np.asarray(sizes, float), np.asarray(isotonic_regression(scores_SN.mean(0)).x), known)


@dataclass(frozen=True)
class Rate:
    """One group of cells. Scores and points in percent with 95 % t-intervals over seeds, points paired by seed.

    ``corpus`` and ``labels``: how many corpus examples, or labels of the users' own distribution, give the same score,
    with percentile-bootstrap intervals over seeds; infinite where the longest curve stays below.
    """

    cell: Cell  # of the first seed
    by_seed: tuple[float, ...]  # shares of 1
    score: Estimate  # mean, low, high
    points: Estimate  # over the extra compute alone
    points_corpus: Estimate  # the same on the corpus's own questions
    corpus: Estimate
    labels: Estimate


class Rates:
    """All rates of one part."""

    def __init__(self, scores: Mapping[Cell, Scores], known: int):
        self.seeds = sorted({cell.seed for cell in scores})
        self.known = known
        self._scores = {(cell.group, cell.seed): found for cell, found in scores.items()}
        self._first = {cell.group: cell for cell in sorted(scores, key=lambda cell: -cell.seed)}
        n = len(self.seeds)
        self._draws_BS = np.random.default_rng(0).integers(n, size=(DRAWS if n > 1 else 1, n))
        self._curves = {
            (kind, shift): self._curve(kind, shift) for kind in ("corpus", "labels") for shift in self.shifts
        }

    @property
    def shifts(self) -> list[Shift]:
        (served,) = (cell for cell in self._first.values() if cell.arm == "served")
        return list(self._scores[served.group, served.seed])

    def cells(self) -> Iterable[tuple[Cell, Shift]]:
        """A cell of each group, and each shift on which it was scored for its own sake."""
        for cell in self._first.values():
            if cell.arm in ("served", "corpus"):
                yield from ((cell, shift) for shift in self.shifts)
            else:
                yield cell, cell.shift

    def of(self, cell: Cell, shift: Shift) -> Rate:
        by_seed_S = self.by_seed(cell, shift)
        compute = self._corpus_cells()[0]
        return Rate(
            cell=cell,
            by_seed=tuple(by_seed_S.tolist()),
            score=t_interval(100 * by_seed_S),
            points=t_interval(100 * (by_seed_S - self.by_seed(compute, shift))),
            points_corpus=t_interval(100 * (self.by_seed(cell, "none") - self.by_seed(compute, "none"))),
            corpus=self._gap("corpus", shift, by_seed_S),
            labels=self._gap("labels", shift, by_seed_S),
        )

    def by_seed(self, cell: Cell, shift: Shift) -> Array:
        return np.array([self._scores[cell.group, seed][shift] for seed in self.seeds])

    def longest(self, kind: str, shift: Shift) -> int:
        """Where the curve of ``kind`` ends."""
        return int(self._curves[kind, shift][0].sizes[-1])

    def _corpus_cells(self) -> list[Cell]:
        return sorted((cell for cell in self._first.values() if cell.arm == "corpus"), key=lambda cell: cell.n)

    def _curve(self, kind: str, shift: Shift) -> list[Curve]:
        """The curve of all seeds, then those of the bootstrap's draws."""
        along = self._corpus_cells()
        if kind == "labels":
            labelled = [cell for cell in self._first.values() if cell.arm == "labels" and cell.shift == shift]
            labelled.sort(key=lambda cell: cell.n)
            along = [along[0], *(labelled or along[1:])]  # at no shift labels are corpus
        sizes = [cell.n for cell in along]
        scores_SN = np.stack([self.by_seed(cell, shift) for cell in along], axis=1)
        return [curve(sizes, scores_SN[drawn], self.known) for drawn in [slice(None), *self._draws_BS]]

    def _gap(self, kind: str, shift: Shift, by_seed_S: Array) -> Estimate:
        whole, *drawn = self._curves[kind, shift]
        means_B = by_seed_S[self._draws_BS].mean(1)
        gaps_B = [one.size_for(mean) for one, mean in zip(drawn, means_B, strict=True)]
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(gaps_B, [tail, 1 - tail], method="inverted_cdf")  # no arithmetic, so infinity may occur
        return whole.size_for(float(by_seed_S.mean())), float(low), float(high)


def t_interval(values_S: Array) -> Estimate:
    """Mean and Student's interval; without a width from one seed."""
    mean, n = float(values_S.mean()), len(values_S)
    if n < 2:
        return mean, mean, mean
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1) * values_S.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half
