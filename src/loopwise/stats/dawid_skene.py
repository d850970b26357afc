# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
"""Who is reliable, and what is true, from labels alone: Dawid and Skene (1979), "Maximum likelihood estimation of
observer error-rates using the EM algorithm", for two classes, with beta priors on each rater's two rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from loopwise.stats.distributions import Integers, Reals

# Eight and a half right of ten: what is believed of a rater of whom nothing is known. With it a rater's labels mean
# something before anybody has met, and a few labels move nobody far.
PRIOR = (8.5, 1.5)
UNKNOWN = -1
_ROUNDS, _CLOSE = 200, 1e-6
_EDGE = 1e-9  # a share this near to 0 or 1 counts as that far from it, so that logarithms are finite


@dataclass(frozen=True)
class Labels:
    """N labels: the rater ``rater_N`` (0 … R-1) calls the item ``item_N`` (0 … I-1) good or not, at most once each.
    ``truth_I`` is 1, 0 or UNKNOWN."""

    item_N: Integers
    rater_N: Integers
    good_N: NDArray[np.bool_]
    truth_I: Integers
    raters: int


@dataclass(frozen=True)
class Fit:
    """``good_I`` is the probability that an item is good; ``others_N`` is that of a label's item without the label
    itself; ``sensitivity_R`` and ``specificity_R`` are posterior means; ``prevalence`` is the share of good items."""

    good_I: Reals
    others_N: Reals
    sensitivity_R: Reals
    specificity_R: Reals
    prevalence: float
    rounds: int

    @property
    def informedness(self) -> Reals:
        """Youden's (1950) index: 1 for a rater who is always right, 0 for one who tells nothing, negative for one who
        says the opposite."""
        return self.sensitivity_R + self.specificity_R - 1


def dawid_skene(labels: Labels, prior: tuple[float, float] = PRIOR) -> Fit:
    """Expectation-maximization from the prior on: no random start, so the same labels give the same fit.

    Each rater's sensitivity and specificity have the prior Beta(*prior), the shares of good items Beta(1, 1). Known
    truths are clamped. An item that one rater alone has labeled, and whose truth is not known, tells nothing of the
    rater and is left out of all rates: who only ever complains is not thereby one who cannot tell good from bad.
    Such items have a share of good ones of their own: answers that several people are given are not like the others.

    What it assumes: raters err independently, given the truth. Where they do not (copies, one misleading answer that
    fools many), it is surer than it should be.
    """
    items = len(labels.truth_I)
    known = labels.truth_I != UNKNOWN
    telling_I = known | _by_several(labels)
    telling_N = telling_I[labels.item_N]
    sensitivity_R = specificity_R = np.full(labels.raters, prior[0] / sum(prior))
    prevalence_I, good_I, rounds = np.full(items, 0.5), np.where(known, labels.truth_I, 0.5).astype(np.float64), 0
    for rounds in range(1, _ROUNDS + 1):
        evidence_N = _evidence(labels, sensitivity_R, specificity_R)
        logit_I = _logit(prevalence_I) + np.bincount(labels.item_N, evidence_N, items)
        before, good_I = good_I, np.where(known, labels.truth_I, _logistic(logit_I))
        sensitivity_R = _rate(labels, telling_N * good_I[labels.item_N], labels.good_N, prior)
        specificity_R = _rate(labels, telling_N * (1 - good_I[labels.item_N]), ~labels.good_N, prior)
        prevalence_I = np.where(telling_I, _share(good_I[telling_I]), _share(good_I[~telling_I]))
        if rounds > 1 and np.abs(good_I - before).max(initial=0.0) < _CLOSE:
            break
    evidence_N = _evidence(labels, sensitivity_R, specificity_R)
    logit_I = _logit(prevalence_I) + np.bincount(labels.item_N, evidence_N, items)
    truth_N = labels.truth_I[labels.item_N]
    others_N = np.where(truth_N != UNKNOWN, truth_N, _logistic(logit_I[labels.item_N] - evidence_N))
    return Fit(good_I, others_N, sensitivity_R, specificity_R, _share(good_I), rounds)


def _by_several(labels: Labels) -> NDArray[np.bool_]:
    """Which items have labels of at least two raters."""
    items = len(labels.truth_I)
    lowest, highest = np.full(items, labels.raters), np.full(items, -1)
    np.minimum.at(lowest, labels.item_N, labels.rater_N)
    np.maximum.at(highest, labels.item_N, labels.rater_N)
    return highest > lowest


def _evidence(labels: Labels, sensitivity_R: Reals, specificity_R: Reals) -> Reals:
    """What each label adds to the log-odds that its item is good."""
    hit_N, calm_N = (np.clip(rate[labels.rater_N], _EDGE, 1 - _EDGE) for rate in (sensitivity_R, specificity_R))
    return np.where(labels.good_N, np.log(hit_N) - np.log1p(-calm_N), np.log1p(-hit_N) - np.log(calm_N))


def _rate(labels: Labels, weight_N: Reals, right_N: NDArray[np.bool_], prior: tuple[float, float]) -> Reals:
    of = np.bincount(labels.rater_N, weight_N, labels.raters)
    right = np.bincount(labels.rater_N, weight_N * right_N, labels.raters)
    return (prior[0] + right) / (sum(prior) + of)


def _share(good_I: Reals) -> float:
    return float((good_I.sum() + 1) / (len(good_I) + 2))


def _logit(share: Reals) -> Reals:
    return np.log(share) - np.log1p(-share)


def _logistic(logit: NDArray[np.floating[Any]]) -> Reals:
    return np.asarray(expit(logit), dtype=np.float64)
