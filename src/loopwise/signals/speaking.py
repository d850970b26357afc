"""Who speaks is not who uses: how many exchanges each spoken-of one stands for, by what is seen of both.

Observed of every exchange, spoken of or not: how much the person uses the model, the release, the segment, and how long
the prompt is. What moves people to speak beyond that (above all, how good the answer was) is not corrected for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loopwise.signals.evidence import NOBODY, Evidence
from loopwise.signals.words import digest
from loopwise.stats.distributions import Integers
from loopwise.stats.propensity import Weights, propensity_weights
from loopwise.types import JsonObject

ACTIVITY = (1, 4, 16, 64)  # exchanges of a person from which the next bin begins; nobody's exchanges are bin 0
MOST_FREQUENT = 7  # releases and segments with a bin of their own; the rest share one
LENGTHS = (0.25, 0.5, 0.75)  # quantiles of the prompt's length


@dataclass(frozen=True)
class Speaking:
    """The weights and the bins that they are by."""

    weights: Weights
    activity_P: Integers
    releases: Integers
    segments: Integers
    lengths: Integers

    def weight(self, person: int, release: int, segment: int, length: int) -> float:
        """Of what is said outright of such an exchange."""
        if self.weights.refused is not None:
            return 1.0
        activity = 0 if person == NOBODY else int(self.activity_P[person])
        code = _code(np.array([activity]), np.array([release]), np.array([segment]), np.array([length]), self)
        return float(self.weights.weight_S[code[0]])

    def as_dict(self) -> JsonObject:
        """The diagnostics."""
        found = self.weights
        return {
            "exchanges": found.units,
            "spoken": found.spoke,
            "effective": round(found.effective, 1),
            "normalizer_z": round(found.z, 3),
            "largest": round(found.largest, 3),
            "refused": found.refused,
        }


_STRATA = (len(ACTIVITY) + 1) * (MOST_FREQUENT + 1) ** 2 * (len(LENGTHS) + 1)
_UNWEIGHED = Weights(np.ones(_STRATA), 0, 0, 0.0, 0.0, 1.0, "nothing was served that may be trained on")


def speaking(evidence: Evidence) -> Speaking:
    """The weights of all that may be trained on; refused, with the reason, where they cannot be trusted."""
    user = evidence.user_E
    uses_P = np.bincount(user[user != NOBODY], minlength=len(evidence.people))
    bins = Speaking(
        _UNWEIGHED,
        np.searchsorted(ACTIVITY, uses_P, side="right"),
        _frequent(evidence.release_E),
        _frequent(evidence.segment_E),
        _quantiles(evidence.length_E),
    )
    if not len(user):
        return bins
    activity_E = np.where(user == NOBODY, 0, bins.activity_P[user] if len(uses_P) else 0)
    code_E = _code(activity_E, evidence.release_E, evidence.segment_E, evidence.length_E, bins)
    names = np.array([digest(name) for name in evidence.people], dtype=np.int64)
    cluster_E = np.where(user == NOBODY, np.arange(len(user)), names[user] if len(names) else 0)
    return replace(bins, weights=propensity_weights(code_E, evidence.spoken_E, cluster_E, _STRATA))


def _quantiles(values: Integers) -> Integers:
    """The values at ``LENGTHS``, each once."""
    places = [int(share * (len(values) - 1)) for share in LENGTHS]
    return np.unique(np.sort(values)[places]) if len(values) else values


def _code(activity: Integers, release: Integers, segment: Integers, length: Integers, bins: Speaking) -> Integers:
    code = activity * (MOST_FREQUENT + 1) + _bin(release, bins.releases)
    code = code * (MOST_FREQUENT + 1) + _bin(segment, bins.segments)
    return code * (len(LENGTHS) + 1) + np.searchsorted(bins.lengths, length, side="left")


def _frequent(values: Integers) -> Integers:
    """The most frequent values, sorted."""
    found, counts = np.unique(values, return_counts=True)
    return np.sort(found[np.lexsort((found, -counts))[:MOST_FREQUENT]])


def _bin(values: Integers, frequent: Integers) -> Integers:
    """The place among the frequent ones; the last bin for all others."""
    if not len(frequent):
        return np.full(len(values), MOST_FREQUENT)
    place = np.minimum(np.searchsorted(frequent, values), len(frequent) - 1)
    return np.where(frequent[place] == values, place, MOST_FREQUENT)
