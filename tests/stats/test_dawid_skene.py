"""Against an independent implementation in plain Python, against planted truth, and at the edges."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from loopwise.stats.dawid_skene import PRIOR, UNKNOWN, Labels, dawid_skene

Votes = list[tuple[int, int, bool]]  # item, rater, good


def labels(votes: Votes, items: int, raters: int, truth: dict[int, int] | None = None) -> Labels:
    truth_I = np.full(items, UNKNOWN)
    truth_I[list(truth or {})] = list((truth or {}).values())
    item, rater, good = zip(*votes, strict=True)
    return Labels(np.array(item), np.array(rater), np.array(good), truth_I, raters)


def plain(votes: Votes, items: int, raters: int, truth: dict[int, int], rounds: int) -> tuple[list[float], list[float]]:
    """The same model as sums over dictionaries: (probability that each item is good, each rater's sensitivity)."""
    hit, calm, share = [PRIOR[0] / sum(PRIOR)] * raters, [PRIOR[0] / sum(PRIOR)] * raters, [0.5, 0.5]
    told = [i for i in range(items) if i in truth or len({r for j, r, _ in votes if j == i}) > 1]
    good: list[float] = []
    for _ in range(rounds):
        good = []
        for i in range(items):
            yes, no = share[i in told], 1 - share[i in told]
            for j, r, up in votes:
                if j == i:
                    yes *= hit[r] if up else 1 - hit[r]
                    no *= 1 - calm[r] if up else calm[r]
            good.append(float(truth[i]) if i in truth else yes / (yes + no))
        for r in range(raters):
            own = [(good[i], up) for i, s, up in votes if s == r and i in told]
            hit[r] = (PRIOR[0] + sum(g for g, up in own if up)) / (sum(PRIOR) + sum(g for g, _ in own))
            calm[r] = (PRIOR[0] + sum(1 - g for g, up in own if not up)) / (sum(PRIOR) + sum(1 - g for g, _ in own))
        single = [i for i in range(items) if i not in told]
        share = [(sum(good[i] for i in some) + 1) / (len(some) + 2) for some in (single, told)]
    return good, hit


def planted(seed: int, noise: list[float], items: int, each: int) -> tuple[Votes, list[bool]]:
    """Every item is labeled by ``each`` raters, who are wrong as often as ``noise`` says."""
    rng = random.Random(seed)
    truth = [rng.random() < 0.6 for _ in range(items)]
    votes = [
        (i, r, truth[i] != (rng.random() < noise[r])) for i in range(items) for r in rng.sample(range(len(noise)), each)
    ]
    return votes, truth


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_fit_of_an_independent_implementation(seed: int):
    votes, truth = planted(seed, [0.05, 0.1, 0.3, 0.5, 0.9], items=40, each=3)
    votes += [(40, 0, True), (41, 3, False)]
    known = {i: int(truth[i]) for i in range(0, 40, 7)}

    fit = dawid_skene(labels(votes, 42, 5, known))

    good, hit = plain(votes, 42, 5, known, rounds=300)
    assert fit.good_I == pytest.approx(good, abs=1e-4)
    assert fit.sensitivity_R == pytest.approx(hit, abs=1e-4)


def test_planted_reliability_and_truth_are_found():
    noise = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.95] + [0.1] * 5
    votes, truth = planted(1, noise, items=2_000, each=4)

    fit = dawid_skene(labels(votes, 2_000, len(noise)))

    # about 670 labels each: the standard error of 1 - 2 noise is at most 0.04; the prior adds up to 0.02
    assert fit.informedness == pytest.approx([1 - 2 * share for share in noise], abs=0.13)
    assert np.mean((fit.good_I > 0.5) == truth) > 0.96
    assert fit.prevalence == pytest.approx(0.6, abs=0.04)


def test_of_whom_nothing_is_known_the_prior_holds_exactly():
    alone: Votes = [(i, 0, False) for i in range(50)]  # only ever complains, of items that nobody else has judged
    fit = dawid_skene(labels([*alone, (50, 1, True), (50, 2, True)], 51, 4))

    assert (fit.sensitivity_R[[0, 3]] == PRIOR[0] / sum(PRIOR)).all()
    assert (fit.specificity_R[[0, 3]] == PRIOR[0] / sum(PRIOR)).all()


def test_known_truth_is_clamped_and_rates_a_rater_by_hand():
    """Two right of three good, none of one bad: (8.5 + 2) / (10 + 3) and 8.5 / (10 + 1)."""
    votes: Votes = [(0, 0, True), (1, 0, True), (2, 0, False), (3, 0, True)]
    fit = dawid_skene(labels(votes, 4, 1, {0: 1, 1: 1, 2: 1, 3: 0}))

    assert fit.good_I.tolist() == [1, 1, 1, 0]
    assert fit.sensitivity_R[0] == pytest.approx(10.5 / 13)
    assert fit.specificity_R[0] == pytest.approx(8.5 / 11)
    assert fit.informedness[0] == pytest.approx(10.5 / 13 + 8.5 / 11 - 1)
    assert fit.prevalence == pytest.approx(4 / 6)


def test_what_others_say_of_an_item_leaves_out_ones_own_word():
    votes: Votes = [(0, 0, True), (0, 1, False), (1, 0, True), (2, 1, True)]
    fit = dawid_skene(labels(votes, 3, 2, {2: 0}))
    several, single = (fit.good_I[0] + fit.good_I[2] + 1) / 4, (fit.good_I[1] + 1) / 3  # shares of good items

    def by_others(place: int) -> float:
        item, rater, _ = votes[place]
        logit = math.log(several / (1 - several))
        for i, r, up in votes:
            if i == item and r != rater:
                hit, calm = float(fit.sensitivity_R[r]), float(fit.specificity_R[r])
                logit += math.log(hit / (1 - calm)) if up else math.log((1 - hit) / calm)
        return 1 / (1 + math.exp(-logit))

    assert fit.others_N.tolist() == pytest.approx([by_others(0), by_others(1), single, 0.0], abs=1e-5)


def test_the_order_of_items_and_raters_changes_no_verdict():
    votes, _ = planted(5, [0.05, 0.2, 0.4, 0.6], items=60, each=3)
    fit = dawid_skene(labels(votes, 60, 4))
    turned = dawid_skene(labels([(59 - i, 3 - r, up) for i, r, up in reversed(votes)], 60, 4))

    assert turned.good_I[::-1] == pytest.approx(fit.good_I, abs=1e-6)
    assert dawid_skene(labels(votes, 60, 4)).good_I.tolist() == fit.good_I.tolist()


def test_nothing_said_is_a_fit_of_the_prior():
    empty = Labels(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.int64), 2)
    assert dawid_skene(empty).informedness == pytest.approx([0.7, 0.7])


def test_complaints_that_nobody_shares_are_not_drowned_by_answers_that_many_like():
    """Of 100 items with one label each 40 are called good: p = (0.4 - 0.15) / 0.7 of them are, to a hundredth."""
    liked: Votes = [(i, r, True) for i in range(50) for r in (1, 2)]
    alone: Votes = [(50 + i, 0, i < 40) for i in range(100)]

    fit = dawid_skene(labels([*liked, *alone], 150, 3))

    assert fit.good_I[50:].mean() == pytest.approx(0.25 / 0.7, abs=0.01)
    assert (fit.good_I[90:] < 0.2).all()
