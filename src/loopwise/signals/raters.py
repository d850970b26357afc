"""Who is reliable: what people say outright of answers, as labels, and the fit that explains them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loopwise.signals.evidence import HUMAN, JUDGE, NOBODY, VERIFIER, Evidence, Flags
from loopwise.signals.standing import OUTRIGHT
from loopwise.stats.dawid_skene import PRIOR, UNKNOWN, Fit, Labels, dawid_skene
from loopwise.stats.distributions import Integers, Reals

NAMELESS = 2  # raters besides the people: everybody who is not named, together; and the judges, together
_EXPECTED = 2 * PRIOR[0] / sum(PRIOR) - 1  # the informedness of somebody of whom nothing is known


@dataclass(frozen=True)
class Jury:
    """Labels with what was made of them. ``item_I`` are the items' hashes, sorted."""

    item_I: Integers
    labels: Labels
    fit: Fit

    @property
    def people(self) -> int:
        return self.labels.raters - NAMELESS

    @property
    def standing(self) -> Reals:
        """How much a rater's word counts, as a multiple of what it counts before anything is known: informedness over
        that of the prior, and nothing for one who tells nothing or says the opposite."""
        return np.maximum(self.fit.informedness, 0.0) / _EXPECTED


def jury(evidence: Evidence, strength_N: Reals, counted_N: Flags) -> Jury:
    """The fit over those rows that count. What a verifier says is the truth; only its full marks are good. A correction
    calls the answer bad, and what it says instead good. Each person has one word on an item, the last."""
    outright = evidence.of_kinds(*OUTRIGHT) & (strength_N != 0) & evidence.whole_N
    said = outright & counted_N & np.isin(evidence.source_N, (HUMAN, JUDGE))
    proved = (evidence.source_N == VERIFIER) & evidence.whole_N & (outright | ~np.isnan(evidence.number_N))
    row, item, good = _words(evidence, said, strength_N > 0)
    _, true_item, truth = _words(evidence, proved, strength_N >= 1)
    people = len(evidence.people)
    person = evidence.person_N[row]
    rater = np.where(evidence.source_N[row] == JUDGE, people + 1, np.where(person == NOBODY, people, person))
    last = _last_words(rater, item, rater < people)
    items = np.unique(np.concatenate([item, true_item]))
    truth_I = np.full(len(items), UNKNOWN, dtype=np.int64)
    truth_I[np.searchsorted(items, true_item)] = truth  # in the order of time: the last of equals stays
    labels = Labels(np.searchsorted(items, item[last]), rater[last], good[last], truth_I, people + NAMELESS)
    return Jury(items, labels, dawid_skene(labels))


def _words(evidence: Evidence, rows: Flags, good_N: Flags) -> tuple[Integers, Integers, Flags]:
    """(row, item, good) of what ``rows`` say of the answers, and of the better ones that corrections give; by time."""
    about = np.flatnonzero(rows)
    better = np.flatnonzero(rows & (evidence.target_N != 0) & evidence.of_kinds("correction"))
    row = np.concatenate([about, better])
    item = np.concatenate([evidence.item_N[about], evidence.target_N[better]])
    good = np.concatenate([good_N[about], np.ones(len(better), dtype=bool)])
    order = np.argsort(row, kind="stable")
    return row[order], item[order], good[order]


def _last_words(rater: Integers, item: Integers, single: Flags) -> Integers:
    """Places of the labels to keep: the last of each person on each item, and all of those who are many in one."""
    order = np.lexsort((np.arange(len(item)), item, rater))
    same = (rater[order][1:] == rater[order][:-1]) & (item[order][1:] == item[order][:-1]) & single[order][1:]
    kept = np.ones(len(item), dtype=bool)
    kept[:-1] = ~same
    return np.sort(order[kept]) if len(item) else order
