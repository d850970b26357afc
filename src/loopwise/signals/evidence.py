"""All that stands, as columns of numbers: one pass over the store, 78 bytes for each feedback, 25 for each exchange.

The rows are put into an order that follows from what they say, not from when they arrived, so that sums over them come
out alike to the last bit whatever else the store holds in between.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loopwise.signals import metric, rating
from loopwise.signals.joined import Said, Served
from loopwise.signals.standing import meant
from loopwise.signals.words import answers, asked, digest, digest_of_name, normalized, segment
from loopwise.stats.distributions import Integers, Reals
from loopwise.types import Signal

NOBODY = -1
HUMAN, IMPLICIT, JUDGE, VERIFIER = range(4)
_SOURCES = {"human": HUMAN, "implicit": IMPLICIT, "judge": JUDGE, "verifier": VERIFIER}
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """N signals that stand and E exchanges that may be trained on.

    ``item_N`` is a hash of prompt and answer, so that the same answer to the same prompt is one item whoever got it;
    ``prompt_N`` of the prompt; ``target_N`` of prompt and the better answer, ``words_N`` of the better answer alone,
    both 0 where there is none. ``number_N`` is a rating's place on its scale or a metric's value, NaN elsewhere.
    ``whole_N`` is False for a share of what was said of an episode. Of exchanges: who asked, release and segment as
    hashes, the prompt's length as a power of two, and whether a person spoke of it.
    """

    people: Sequence[str]  # sorted; persons are places in it, or NOBODY
    kinds: Sequence[str]  # sorted
    person_N: Integers
    kind_N: Integers
    source_N: Integers
    item_N: Integers
    prompt_N: Integers
    target_N: Integers
    words_N: Integers
    strength_N: Reals
    number_N: Reals
    at_N: Reals
    whole_N: Flags
    user_E: Integers
    release_E: Integers
    segment_E: Integers
    length_E: Integers
    spoken_E: Flags

    def of_kinds(self, *kinds: str) -> Flags:
        """Which of the N are of these kinds."""
        return np.isin(self.kind_N, [place for place, kind in enumerate(self.kinds) if kind in kinds])


def kind_key(said: Said, signal: Signal) -> str:
    """The kind as it is weighed: each metric alone; what a program made of a kind that people say outright, alone."""
    if signal.kind == "metric":
        return metric.name(said.feedback)
    stated = signal.kind in ("thumbs", "rating", "correction", "preference")
    return f"{signal.kind} by a program" if stated and signal.source == "implicit" else signal.kind


def stratum_of(one: Served) -> tuple[int, int, int]:
    """(release, segment, length) of an exchange, as numbers: what may decide whether people speak of it."""
    where = segment(one.exchange.request) if '"segment"' in one.request_json else ""
    return digest_of_name(one.release), digest_of_name(where), len(one.request_json).bit_length()


@dataclass
class _Columns:
    """The columns while they grow."""

    people: dict[str, int] = field(default_factory=dict[str, int])
    kinds: dict[str, int] = field(default_factory=dict[str, int])
    ints: array[int] = field(default_factory=lambda: array("q"))  # 8 a signal
    reals: array[float] = field(default_factory=lambda: array("d"))  # 3 a signal
    served: array[int] = field(default_factory=lambda: array("q"))  # 5 an exchange

    def person(self, name: str | None) -> int:
        return NOBODY if name is None else self.people.setdefault(name, len(self.people))

    def add(self, one: Served, said: Said, signal: Signal, texts: tuple[str | None, dict[int, str]]) -> None:
        prompt, given = texts
        answer = given.get(signal.choice)
        known = prompt is not None and answer is not None
        item = digest(prompt, normalized(answer or "")) if known else digest(one.id, signal.choice)
        better = None if prompt is None or signal.text is None else normalized(signal.text)
        target, words = (0, 0) if better is None else (digest(prompt, better), digest(better))
        kind = self.kinds.setdefault(kind_key(said, signal), len(self.kinds))
        asked_of = digest(one.id if prompt is None else prompt)
        codes = (
            self.person(signal.user),
            kind,
            _SOURCES[signal.source],
            item,
            asked_of,
            target,
            words,
            said.share == 1.0,
        )
        self.ints.extend(map(int, codes))
        number = rating.share(said.feedback) if signal.kind == "rating" else None
        number = float(said.feedback.value) if signal.kind == "metric" else number
        self.reals.extend((signal.strength, math.nan if number is None else number, signal.at))


def gather(exchanges: Iterable[Served], gone: Integers, outcomes: Counter[str]) -> Evidence:
    """The evidence in ``exchanges``; what became of each feedback is counted in ``outcomes``."""
    columns = _Columns()
    for one in exchanges:
        found = meant(one, gone, outcomes) if one.said else []
        if found:
            texts = asked(one.exchange), answers(one.exchange)
            for said, signal in found:
                columns.add(one, said, signal, texts)
        outcomes["named"] += sum(said.feedback.exchange_id is not None for said in one.said)
        outcomes["signals"] += len(found)
        if one.train and one.status == 200 and one.endpoint == "chat.completions":
            spoken = any(signal.source == "human" for _, signal in found)
            columns.served.extend((columns.person(one.user), *stratum_of(one), spoken))
    return _ordered(columns)


def _ordered(columns: _Columns) -> Evidence:
    people, person_rank = _ranked(columns.people)
    kinds, kind_rank = _ranked(columns.kinds)
    ints, reals = np.asarray(columns.ints).reshape(-1, 8), np.asarray(columns.reals).reshape(-1, 3)
    served = np.asarray(columns.served).reshape(-1, 5)
    person, kind = person_rank[ints[:, 0]], kind_rank[ints[:, 1]]
    order = np.lexsort((reals[:, 0], ints[:, 5], ints[:, 2], kind, person, ints[:, 3], reals[:, 2]))
    user = person_rank[served[:, 0]]
    by_what = np.lexsort((served[:, 4], served[:, 3], served[:, 2], served[:, 1], user))
    return Evidence(
        people=people,
        kinds=kinds,
        person_N=person[order],
        kind_N=kind[order],
        source_N=ints[order, 2],
        item_N=ints[order, 3],
        prompt_N=ints[order, 4],
        target_N=ints[order, 5],
        words_N=ints[order, 6],
        strength_N=reals[order, 0],
        number_N=reals[order, 1],
        at_N=reals[order, 2],
        whole_N=ints[order, 7] == 1,
        user_E=user[by_what],
        release_E=served[by_what, 1],
        segment_E=served[by_what, 2],
        length_E=served[by_what, 3],
        spoken_E=served[by_what, 4] == 1,
    )


def _ranked(codes: dict[str, int]) -> tuple[list[str], Integers]:
    """The names, sorted, and each code's place among them; the last entry is for NOBODY."""
    names = sorted(codes)
    rank = np.full(len(names) + 1, NOBODY, dtype=np.int64)
    rank[[codes[name] for name in names]] = np.arange(len(names))
    return names, rank
