"""Selection bias: those who speak stand for those who do not, by self-normalized inverse propensity weights.

Horvitz and Thompson (1952), "A generalization of sampling without replacement from a finite universe"; Hájek (1971) for
the self-normalized form. An estimate whose weights rest on few, or whose normalizer is not 1 within its error, refuses
itself: plain inverse weights mislead without warning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwise.stats.distributions import Integers, Reals

SHRINK = 20.0  # units of the overall rate that a stratum's own rate is mixed with: few units tell little
MOST = 10.0  # the largest weight, and its inverse the smallest, relative to the mean: one must not speak for hundreds
FEWEST = 50  # units that spoke, below which nothing is estimated
LEAST_SHARE = 0.2  # of the units that spoke, as effective sample size
FURTHEST = 2.58  # standard errors of the normalizer from 1: the two-sided 99 % point of the normal distribution
FOLDS = 5


@dataclass(frozen=True)
class Weights:
    """``weight_S`` by stratum, 1 on average over those who spoke; all 1 where ``refused`` says why. ``z`` is how many
    standard errors the cross-fitted normalizer lies from 1."""

    weight_S: Reals
    spoke: int
    units: int
    effective: float
    z: float
    largest: float
    refused: str | None


def propensity_weights(stratum_N: Integers, spoke_N: NDArray[np.bool_], cluster_N: Integers, strata: int) -> Weights:
    """Weights for N units in the strata 0 … ``strata`` - 1, of which some spoke. ``cluster_N`` says which units belong
    together (a person's, by a number that follows from the person): the normalizer is checked on clusters that its
    rates were not estimated from, and its error is that between clusters."""
    units, spoke = len(stratum_N), int(spoke_N.sum())
    if spoke < FEWEST:
        return _refused(strata, spoke, units, f"{spoke} of {units} spoke, fewer than {FEWEST}")
    count_S = np.bincount(stratum_N, minlength=strata).astype(np.float64)
    spoke_S = np.bincount(stratum_N, spoke_N, strata).astype(np.float64)
    raw_S = (spoke / units) / _rate(spoke_S, count_S)
    mean = float((raw_S * spoke_S).sum() / spoke)
    weight_S = np.clip(raw_S / mean, 1 / MOST, MOST)
    weight_S = weight_S / float((weight_S * spoke_S).sum() / spoke)
    effective = float((weight_S * spoke_S).sum() ** 2 / (weight_S**2 * spoke_S).sum())
    largest = float(weight_S[spoke_S > 0].max())
    z = _normalizer_z(stratum_N, spoke_N, cluster_N, strata)
    why = None
    if effective < LEAST_SHARE * spoke:
        why = f"the effective sample size is {effective:.0f} of {spoke}, below a share of {LEAST_SHARE}"
    elif abs(z) > FURTHEST:
        why = f"the normalizer is {abs(z):.1f} standard errors from 1, more than {FURTHEST}"
    return Weights(weight_S if why is None else np.ones(strata), spoke, units, effective, z, largest, why)


def _rate(spoke_S: Reals, count_S: Reals) -> Reals:
    overall = float(spoke_S.sum() / count_S.sum())
    return (spoke_S + SHRINK * overall) / (count_S + SHRINK)


def _normalizer_z(stratum_N: Integers, spoke_N: NDArray[np.bool_], cluster_N: Integers, strata: int) -> float:
    """Of the mean of spoke / rate over all units, each rate estimated on the other folds of clusters."""
    fold_N = cluster_N % FOLDS
    ratio_N = np.zeros(len(stratum_N))
    for fold in range(FOLDS):
        held = fold_N == fold
        there = stratum_N[~held]
        spoke_S = np.bincount(there, spoke_N[~held], strata).astype(np.float64)
        count_S = np.bincount(there, minlength=strata).astype(np.float64)
        if spoke_S.sum():
            ratio_N[held] = spoke_N[held] / _rate(spoke_S, count_S)[stratum_N[held]]
    _, place_N = np.unique(cluster_N, return_inverse=True)
    off_C = np.bincount(place_N, ratio_N - 1)
    error = float(np.sqrt((off_C**2).sum()))
    return float(off_C.sum()) / error if error else 0.0


def _refused(strata: int, spoke: int, units: int, why: str) -> Weights:
    return Weights(np.ones(strata), spoke, units, float(spoke), 0.0, 1.0, why)
