"""Agreement that honest people do not show: with the truth, far too little; with each other, far too much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.evidence import Flags
from loopwise.signals.meetings import joined_groups, meetings
from loopwise.signals.raters import Jury
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.dawid_skene import UNKNOWN
from loopwise.stats.distributions import Integers, Reals, binomial_at_least

SURE = 0.9  # the probability from which the others' word on an item counts as settled
FEWEST = 9  # settled items, or meetings of a pair, below which nobody is judged
# For each person: of those whose word is a coin, so many are named; honest ones are far from it. Of nine settled items
# it takes none right, of fifteen one.
ERROR_EACH = 0.002
WRONG_WAY = -0.2  # Youden's index from which a word points the wrong way; of always the same word it is 0
FEWEST_OF_A_CLASS = 2  # good, or bad, items for the index to say anything
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


def below_chance(jury: Jury, *, proved: bool) -> Iterator[Suspicion]:
    """People whose word on settled items is right significantly less often than a coin: a one-sided binomial test.
    Settled are items that were verified, and unless ``proved`` those of which others are sure.

    Who always says the same is no liar, however few of the answers deserve it: the word must also point the wrong way,
    as Youden's (1950) index has it, or, where nearly all items are of one class and the index says nothing, be right
    less often than the same words would be on anybody's items.
    """
    labels, fit, people = jury.labels, jury.fit, jury.people
    verified_N = labels.truth_I[labels.item_N] != UNKNOWN
    sure_N = verified_N if proved else np.abs(fit.others_N - 0.5) >= SURE - 0.5
    settled = sure_N & (labels.rater_N < people)
    who, said, good = labels.rater_N[settled], labels.good_N[settled], fit.others_N[settled] > 0.5
    verified = verified_N[settled]

    def count(rows: Flags) -> Integers:
        return np.bincount(who[rows], minlength=people)

    n_P, good_P, right_P = count(said | ~said), count(good), count(said == good)
    bad_P = n_P - good_P
    index_P = count(said & good) / np.maximum(good_P, 1) + count(~said & ~good) / np.maximum(bad_P, 1) - 1
    share = float(good.mean()) if len(good) else 0.5
    called_P = count(said) / np.maximum(n_P, 1)
    chance_P = np.clip(called_P * share + (1 - called_P) * (1 - share), 1e-9, 0.5)
    one_class_P = np.minimum(good_P, bad_P) < FEWEST_OF_A_CLASS
    chance_P = np.where(one_class_P, chance_P, 0.5)
    at_most_P = 1 - binomial_at_least(right_P + 1, n_P, chance_P)
    wrong_way = one_class_P | (index_P <= WRONG_WAY)
    for person in np.flatnonzero((n_P >= FEWEST) & wrong_way & (at_most_P <= ERROR_EACH)).tolist():
        n, right = int(n_P[person]), int(right_P[person])
        yield Suspicion(
            person,
            "below chance",
            f"below chance: {right} of its {n} statements on answers whose worth is settled are right, where chance "
            f"gives {chance_P[person]:.0%}",
            {
                "right": right,
                "settled": n,
                "verified": int(count(verified)[person]),
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
