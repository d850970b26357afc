"""What suites hold, in the forms that training texts are compared in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loopwise.curate.likeness import SHINGLE, jaccard
from loopwise.curate.minhash import bands, rows_per_band, signatures
from loopwise.curate.redact import redact_messages
from loopwise.curate.shingles import U64, runs, words
from loopwise.curate.text import spaced
from loopwise.types import Suite

GENERATED = "reasoning-gym:"  # sources whose problems compare by key: those of one template all look alike
LONGEST, SHORTEST = 13, 8  # words of a telling run, as in Brown et al. 2020 (GPT-3), appendix C
_DIGITS = re.compile(r"\d+")
COMMON = 10  # what more problems share is a template and tells nothing (ibid.)


@dataclass(frozen=True)
class Runs:
    """The telling runs of ``n`` words: ``names`` sorted, and the suite that each is from."""

    n: int
    names: U64
    suites: tuple[str, ...]

    def found_in(self, texts: Sequence[str]) -> dict[int, str]:
        """For each place in ``texts`` that holds a telling run, the suite of the first."""
        flat, starts = runs(*words(texts), self.n)
        at = np.searchsorted(self.names, flat)
        hits = np.flatnonzero(self.names[np.minimum(at, len(self.names) - 1)] == flat)
        places = np.searchsorted(starts, hits, side="right") - 1
        return {int(place): self.suites[int(at[hit])] for place, hit in zip(places[::-1], hits[::-1], strict=True)}


@dataclass(frozen=True)
class Questions:
    """The questions that an asked text may be nearly, by their MinHash bands."""

    texts: tuple[str, ...]
    suites: tuple[str, ...]
    buckets: dict[int, list[int]]  # band → places of questions
    threshold: float

    def found_in(self, texts: Sequence[str]) -> dict[int, str]:
        """For each place in ``texts`` that is as good as a question, its suite."""
        flat, starts = runs(*words(texts), SHINGLE)
        table = bands(signatures(flat, starts), rows_per_band(self.threshold))
        met = np.isin(table, np.fromiter(self.buckets, np.uint64, len(self.buckets))).any(axis=1)
        met &= np.diff(starts) > 0
        found: dict[int, str] = {}
        for place in np.flatnonzero(met).tolist():
            near = sorted({known for band in table[place].tolist() for known in self.buckets.get(band, ())})
            alike = [known for known in near if jaccard(texts[place], self.texts[known]) >= self.threshold]
            if alike:
                found[place] = self.suites[alike[0]]
        return found


def questions(suites: Sequence[Suite]) -> dict[str, str]:
    """The questions of problems that are not generated, spaced, each with the first suite that holds it; as they stand
    and as they are after redaction, which examples have gone through."""
    found: dict[str, str] = {}
    for suite in suites:
        for problem in suite.problems:
            if not problem.source.startswith(GENERATED):
                for messages in (problem.messages, redact_messages(problem.messages)):
                    found.setdefault(
                        spaced("\n".join(m["content"] for m in messages if m["role"] == "user")), suite.name
                    )
    return found


def telling_runs(questions: dict[str, str]) -> list[Runs]:
    """Runs of ``LONGEST`` words, and of questions with fewer, but at least ``SHORTEST``, the whole; none that more than
    ``COMMON`` questions have, whatever the numbers in it."""
    by_length: dict[int, list[str]] = {}
    for text in questions:
        n = min(text.count(" ") + 1, LONGEST)
        if n >= SHORTEST:
            by_length.setdefault(n, []).append(text)
    return [_runs(n, texts, questions) for n, texts in sorted(by_length.items())]


def _runs(n: int, texts: Sequence[str], questions: dict[str, str]) -> Runs:
    flat, starts = runs(*words(texts), n)
    shapes, _ = runs(*words([_shape(text) for text in texts]), n)  # as many, at the same places
    owner = np.repeat(np.arange(len(texts)), np.diff(starts))
    _, shape, counts = np.unique(shapes, return_inverse=True, return_counts=True)
    telling = np.flatnonzero(counts[shape] <= COMMON)
    names, first = np.unique(flat[telling], return_index=True)
    first_owners: list[int] = owner[telling[first]].tolist()
    return Runs(n, names, tuple(questions[texts[place]] for place in first_owners))


def near_questions(questions: dict[str, str], threshold: float) -> Questions:
    """The questions by their bands, without those that, whatever the numbers in them, share a band with more than
    ``COMMON``: they are of one template."""
    rows = rows_per_band(threshold)
    shaped = _by_band([_shape(text) for text in questions], rows)
    templated = {place for places in shaped.values() if len(places) > COMMON for place in places}
    texts = [text for place, text in enumerate(questions) if place not in templated]
    return Questions(tuple(texts), tuple(questions[text] for text in texts), _by_band(texts, rows), threshold)


def _by_band(texts: Sequence[str], rows: int) -> dict[int, list[int]]:
    flat, starts = runs(*words(texts), SHINGLE)
    table = bands(signatures(flat, starts), rows)
    found: dict[int, list[int]] = {}
    for place in np.flatnonzero(np.diff(starts)).tolist():
        for band in table[place].tolist():
            found.setdefault(band, []).append(place)
    return found


def _shape(text: str) -> str:
    return _DIGITS.sub("0", text)
