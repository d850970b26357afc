"""Bursts: more statements in a short time than people make, and far more than the others here make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from loopwise.signals.suspicion import Suspicion
from loopwise.stats.distributions import Integers, Reals

# (window in seconds, statements that nobody makes in it by hand): one in three seconds for a minute, one in thirty for
# an hour, one a minute for eight hours.
WINDOWS = ((60.0, 20), (3_600.0, 120), (86_400.0, 480))
# Use is uneven: its logarithm is about normal, or exponential where a few people do most. At seven robust standard
# deviations a normal tail holds 1e-12 and an exponential one 0.3 %.
FURTHEST = 7.0
LEAST_SPREAD = 0.4  # of the logarithm: where all do about as much, seven of these are still a factor of 16
FEWEST_PEOPLE = 10  # with fewer nobody can say what is usual; absolute rates alone would name every import and test


def bursts(who_N: Integers, at_N: Reals, group_of: Mapping[int, int]) -> Iterator[Suspicion]:
    """Suspicions from N statements: person and time in seconds. ``group_of`` persons are also looked at together. Both
    must hold: an absolute rate, and a distance from what is usual here."""
    if len(np.unique(who_N)) < FEWEST_PEOPLE:
        return
    unit_of = np.arange(int(who_N.max()) + 1)
    unit_of[list(group_of)] = list(group_of.values())
    seen: set[int] = set()
    for window_s, most in WINDOWS:
        people, peaks = _peaks(who_N, at_N, window_s)
        usual, limit = _limit(peaks)
        units, together = _peaks(unit_of[who_N], at_N, window_s)
        loud = dict(zip(units.tolist(), together.tolist(), strict=True))
        for person in people.tolist():
            peak = loud[int(unit_of[person])]
            if person not in seen and peak > max(limit, most):
                seen.add(person)
                who = "its group" if person in group_of else "it"
                yield Suspicion(
                    person,
                    "burst",
                    f"burst: {who} made {peak} statements within {window_s:.0f} s, where half of the people here make "
                    f"at most {usual:.0f}",
                    {"statements": peak, "window_s": window_s, "usual": usual, "limit": round(float(limit), 1)},
                )


def _limit(peaks: Integers) -> tuple[float, float]:
    logs = np.log(peaks)
    middle = float(np.median(logs))
    spread = max(LEAST_SPREAD, 1.4826 * float(np.median(np.abs(logs - middle))))
    return float(np.exp(middle)), float(np.exp(middle + FURTHEST * spread))


def _peaks(who_N: Integers, at_N: Reals, window_s: float) -> tuple[Integers, Integers]:
    """(who, the most statements within a window that ends with one of theirs), by who."""
    order = np.lexsort((at_N, who_N))
    who, at = who_N[order], at_N[order]
    starts = np.flatnonzero(np.concatenate([[True], who[1:] != who[:-1]]))
    # each person's times moved behind the last one's, so that one search serves all
    first, span = float(at.min()), float(at.max() - at.min())
    shifted: Reals = at - first + who * (span + 2 * window_s + 1)
    inside = np.arange(len(at), dtype=np.int64) - np.searchsorted(shifted, shifted - window_s, side="left") + 1
    peaks = np.zeros(int(who[-1]) + 1, dtype=np.int64)
    np.maximum.at(peaks, who, inside)
    return who[starts], peaks[who[starts]]
