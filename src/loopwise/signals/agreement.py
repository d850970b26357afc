"""Agreement that honest people do not show: with the truth, far too little; with each other, far too much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.meetings import joined_groups, meetings
from loopwise.signals.raters import Jury
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.dawid_skene import UNKNOWN
from loopwise.stats.distributions import Reals, binomial_at_least

SURE = 0.9  # the probability from which the others' word on an item counts as settled
FEWEST = 8  # settled items, or meetings of a pair, below which nobody is judged
# For each person: of those whose word is a coin, so many are named; honest ones are far from it. With ten items settled
# it takes none right, or all but none.
ERROR_EACH = 0.005
ERROR_PAIRS = 0.005  # that any pair of independent raters is named, over all pairs together (Bonferroni)
LEAST_EXCESS = 0.15  # of agreement over what reliability explains: hard questions fool honest people together, mildly


@dataclass(frozen=True)
class Collusion:
    """``group_of`` account → group of those who agree too much; ``pairs`` account → (agreed, met, expected share)."""

    group_of: Mapping[int, int]
    pairs: Mapping[int, tuple[int, int, float]]

    def suspicions(self) -> Iterator[Suspicion]:
        for person, (agreed, met, expected) in self.pairs.items():
            yield Suspicion(
                person,
                "untypical agreement",
                f"untypical agreement: with one other account it agrees on {agreed} of {met} answers, where the "
                f"reliability of both explains {expected:.0%}",
                {"agreed": agreed, "met": met, "expected": round(expected, 3)},
            )


def below_chance(jury: Jury) -> Iterator[Suspicion]:
    """People whose word on settled items is right significantly less often than by chance: a one-sided binomial test,
    each against what one gets who calls as many good without looking, or a coin if that is less."""
    labels, fit = jury.labels, jury.fit
    truth_N = labels.truth_I[labels.item_N]
    settled = (np.abs(fit.others_N - 0.5) >= SURE - 0.5) & (labels.rater_N < jury.people)
    who, people = labels.rater_N[settled], jury.people
    good = fit.others_N[settled] > 0.5
    right = labels.good_N[settled] == good
    n_P = np.bincount(who, minlength=people)
    right_P = np.bincount(who, right, people).astype(np.int64)
    verified_P = np.bincount(who, truth_N[settled] != UNKNOWN, people).astype(np.int64)
    called_P = np.bincount(who, labels.good_N[settled], people) / np.maximum(n_P, 1)
    share = float(good.mean()) if len(good) else 0.5
    chance_P = np.minimum(0.5, called_P * share + (1 - called_P) * (1 - share))
    at_most_P = 1 - binomial_at_least(right_P + 1, n_P, np.clip(chance_P, 1e-9, 0.5))
    for person in np.flatnonzero((n_P >= FEWEST) & (at_most_P <= ERROR_EACH)).tolist():
        n, hits = int(n_P[person]), int(right_P[person])
        yield Suspicion(
            person,
            "below chance",
            f"below chance: {hits} of its {n} statements on answers whose worth is settled are right, where chance "
            f"gives {chance_P[person]:.0%}",
            {
                "right": hits,
                "settled": n,
                "verified": int(verified_P[person]),
                "chance": round(float(chance_P[person]), 3),
            },
        )


def collusion(jury: Jury) -> Collusion:
    """Pairs who agree more than two independent raters of their reliability would. The bound on the tail is Hoeffding's
    (1963, theorem 1) for a sum of unlike Bernoulli draws."""
    labels, fit = jury.labels, jury.fit
    met = meetings(labels.item_N, labels.rater_N, labels.rater_N < jury.people)
    n_Q = np.bincount(met.pair_K, minlength=len(met.first_Q)).astype(np.float64)
    agreed_K = labels.good_N[met.one_K] == labels.good_N[met.other_K]
    good_K = fit.good_I[labels.item_N[met.one_K]]
    one, other = labels.rater_N[met.one_K], labels.rater_N[met.other_K]
    expected_K = good_K * _both(fit.sensitivity_R[one], fit.sensitivity_R[other])
    expected_K = expected_K + (1 - good_K) * _both(fit.specificity_R[one], fit.specificity_R[other])
    agreed_Q = np.bincount(met.pair_K, agreed_K, len(n_Q))
    expected_Q = np.bincount(met.pair_K, expected_K, len(n_Q))
    n_safe = np.maximum(n_Q, 1)
    share_Q, chance_Q = agreed_Q / n_safe, np.clip(expected_Q / n_safe, 1e-9, 1 - 1e-9)
    bound_Q = np.exp(-n_Q * _divergence(share_Q, chance_Q))
    judged = n_Q >= FEWEST
    found = judged & (share_Q - chance_Q >= LEAST_EXCESS) & (bound_Q * max(1, int(judged.sum())) <= ERROR_PAIRS)
    pairs: dict[int, tuple[int, int, float]] = {}
    for place in np.flatnonzero(found).tolist():
        seen = int(agreed_Q[place]), int(n_Q[place]), float(chance_Q[place])
        for person in (int(met.first_Q[place]), int(met.second_Q[place])):
            pairs[person] = max(pairs.get(person, seen), seen)
    return Collusion(joined_groups(met.first_Q[found], met.second_Q[found]), dict(sorted(pairs.items())))


def _both(first: Reals, second: Reals) -> Reals:
    return first * second + (1 - first) * (1 - second)


def _divergence(share: Reals, chance: Reals) -> Reals:
    """Kullback and Leibler's, between coins; in nats."""
    high = np.where(share > 0, share * np.log(np.maximum(share, 1e-12) / chance), 0.0)
    low = np.where(share < 1, (1 - share) * np.log(np.maximum(1 - share, 1e-12) / (1 - chance)), 0.0)
    return high + low
