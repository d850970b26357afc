"""Pushing: one answer, to many questions, where others agree on another answer.

A single answer for a class of questions is what data poisoning teaches (Wallace et al. 2021, "Concealed Data Poisoning
Attacks on NLP Models"). Accounts that push it need not meet on any question, nor err elsewhere, so neither their
agreement nor their reliability shows it. The words do, where other people say what the answers should have been.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from loopwise.signals.evidence import HUMAN, IMPLICIT, NOBODY, VERIFIER, Evidence, Flags
from loopwise.signals.suspicion import Suspicion
from loopwise.stats.distributions import binomial_at_least

FEWEST = 9  # questions given the same words by one person, and refuted ones: fewer cannot decide at the level below
LEAST_SHARE = 0.2  # of a person's corrections: below it the words are one answer among many
AGREED = 2  # people who hold the same other answer, before it counts; a verifier is enough alone
ERROR_EACH = 0.002  # that somebody whose words are refuted as often as they are backed is named


@dataclass(frozen=True)
class Pushed:
    """One person's favorite words: the questions they were given to, and the hash of question and words by question."""

    person: int
    item_of: Mapping[int, int]  # prompt → item
    corrections: int  # questions that the person corrected, in all


def pushing(evidence: Evidence, counted_N: Flags) -> Iterator[Suspicion]:
    """People whose favorite words others refute far more often than they back them: a sign test over questions.

    A question counts against the words where ``AGREED`` others hold one other answer, or a verifier refutes them; for
    them where anybody else holds them, too. Others are all who do not favor the same words.
    """
    for words, favored in sorted(_favorites(evidence, counted_N).items()):
        fellows = {one.person for one in favored}
        views = _views(evidence, counted_N, fellows, {prompt for one in favored for prompt in one.item_of})
        for one in favored:
            votes = Counter(_vote(views.get(prompt, {}), item) for prompt, item in one.item_of.items())
            against, backed = votes[-1], votes[1]
            if against >= FEWEST and binomial_at_least(against, against + backed, 0.5) <= ERROR_EACH:
                given = len(one.item_of)
                yield Suspicion(
                    one.person,
                    "pushing",
                    f"pushing: it gave the same words as the right answer to {given} questions, and others agree on "
                    f"another answer to {against} of these, on its own to {backed}",
                    {"questions": given, "refuted": against, "backed": backed, "corrections": one.corrections,
                     "fellows": len(fellows) - 1, "words": f"{words & 0xFFFFFFFFFFFFFFFF:016x}"},
                )  # fmt: skip


def _favorites(evidence: Evidence, counted_N: Flags) -> dict[int, list[Pushed]]:
    """Words → people who gave them to ``FEWEST`` questions or more, and in ``LEAST_SHARE`` of their corrections."""
    by_people = np.isin(evidence.source_N, (HUMAN, IMPLICIT)) & (evidence.person_N != NOBODY)
    rows = by_people & counted_N & (evidence.words_N != 0)
    columns = (evidence.person_N, evidence.words_N, evidence.prompt_N, evidence.target_N)
    person, words, prompt, item = np.unique(np.stack([column[rows] for column in columns]), axis=1)
    if not len(person):
        return {}
    asked = np.unique(np.stack([person, prompt]), axis=1)[0]
    corrected_P = np.bincount(asked)
    starts = np.flatnonzero(np.concatenate([[True], (person[1:] != person[:-1]) | (words[1:] != words[:-1])]))
    found: defaultdict[int, list[Pushed]] = defaultdict(list)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(person)], strict=True):
        corrections = int(corrected_P[person[start]])
        if end - start >= max(FEWEST, LEAST_SHARE * corrections):
            item_of = dict(zip(prompt[start:end].tolist(), item[start:end].tolist(), strict=True))
            found[int(words[start])].append(Pushed(int(person[start]), item_of, corrections))
    return found


def _views(evidence: Evidence, counted_N: Flags, fellows: set[int], prompts: set[int]) -> dict[int, dict[int, int]]:
    """Prompt → item → how many others hold it; negative where a verifier refutes it."""
    verified = evidence.source_N == VERIFIER
    others = np.isin(evidence.source_N, (HUMAN, IMPLICIT)) & ~np.isin(evidence.person_N, list(fellows))
    rows = counted_N & (verified | others) & evidence.whole_N & np.isin(evidence.prompt_N, list(prompts))
    holders: defaultdict[int, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    refuted: set[tuple[int, int]] = set()
    stated = evidence.of_kinds("thumbs", "rating", "correction", "edit", "preference")
    for row in np.flatnonzero(rows & stated).tolist():
        prompt, item, target = int(evidence.prompt_N[row]), int(evidence.item_N[row]), int(evidence.target_N[row])
        who = int(evidence.person_N[row])
        if target != 0:
            holders[prompt][target].add(who)
        elif evidence.strength_N[row] > 0:
            holders[prompt][item].update((who, -2) if verified[row] else (who,))  # a verifier is AGREED people
        elif verified[row]:
            refuted.add((prompt, item))
    views = {prompt: {item: len(who) for item, who in held.items()} for prompt, held in holders.items()}
    for prompt, item in refuted:
        views.setdefault(prompt, {})[item] = -1
    return views


def _vote(view: Mapping[int, int], item: int) -> int:
    """1: others hold this answer too; -1: it is refuted, or enough of them hold one other; 0: nobody can say."""
    if view.get(item, 0) > 0:
        return 1
    refuted = view.get(item, 0) < 0 or any(n >= AGREED for other, n in view.items() if other != item)
    return -1 if refuted else 0
