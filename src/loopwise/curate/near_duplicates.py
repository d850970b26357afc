"""Drops examples that differ from an earlier one in a few words of long texts."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from loopwise.curate.ledger import Ledger
from loopwise.curate.likeness import SHINGLE, Likeness, alike, likeness
from loopwise.curate.minhash import N_HASHES, bands, rows_per_band, signatures
from loopwise.curate.shingles import U64, mixed, runs, words
from loopwise.curate.spill import Spill, spilled
from loopwise.types import Example

STEP = "near duplicates"
BATCH = 512  # examples whose texts are hashed at once
NOWHERE = -1
I32 = NDArray[np.int32]


def drop_near_duplicates(
    examples: Iterable[Example], ledger: Ledger, threshold: float, apart: Container[str] = ()
) -> Iterator[Example]:
    """Keeps the first of examples that ``likeness.py`` calls alike; examples of the people ``apart`` are let through.

    Two passes. The first writes the examples and their MinHash bands to disk; then each band is read alone, and only
    examples that share one with another are looked at again. The second compares each of these with the first example
    kept in each of its bands, on the texts themselves. So a pair is missed with a probability of at most 1 % (see
    ``minhash.RECALL``), and none is dropped by chance. What was kept is kept again when the step runs over its own
    result: the same examples come first in their bands. Memory for each example: 8 bytes, and for those that share a
    band 4 bytes for each of ``N_HASHES / rows_per_band`` bands.
    """
    rows = rows_per_band(threshold)
    with spilled() as spill, ExitStack() as stack:
        files = _BandFiles(rows, [stack.enter_context(TemporaryFile()) for _ in range(N_HASHES // rows)])
        stream = iter(examples)
        while batch := list(islice(stream, BATCH)):
            for example in batch:
                spill.add(example)
            files.add([None if e.user is not None and e.user in apart else likeness(e) for e in batch])
        met, buckets = files.meetings()
        yield from _second_pass(spill, ledger, threshold, (met, buckets))


def _second_pass(
    spill: Spill, ledger: Ledger, threshold: float, meetings: tuple[NDArray[np.int64], I32]
) -> Iterator[Example]:
    met, buckets = meetings
    first = np.full(int(buckets.max(initial=NOWHERE)) + 1, NOWHERE, np.int64)  # the first example kept in each bucket
    k = 0
    for place, example in enumerate(spill):
        if k == len(met) or met[k] != place:
            yield example
            continue
        mine = buckets[k][buckets[k] != NOWHERE]
        k += 1
        earlier = np.unique(first[mine])
        if _is_known(example, [spill[int(other)] for other in earlier if other != NOWHERE], threshold):
            ledger.drop(STEP, f"at least {threshold:g} alike to one that came before", example)
            continue
        first[mine[first[mine] == NOWHERE]] = place
        yield example


def _is_known(example: Example, others: Sequence[Example], threshold: float) -> bool:
    mine = likeness(example)
    theirs = (likeness(other) for other in others)
    return mine is not None and any(other is not None and alike(mine, other, threshold) for other in theirs)


class _BandFiles:
    """One unnamed file per band: 8 bytes for each example, its bucket. 0 stands for an example that is in none."""

    def __init__(self, rows: int, files: Sequence[IO[bytes]]) -> None:
        self._rows, self._files, self._n = rows, files, 0

    def add(self, batch: Sequence[Likeness | None]) -> None:
        found = np.zeros((len(self._files), len(batch)), np.uint64)
        eligible = [i for i, one in enumerate(batch) if one is not None]
        if eligible:
            likes = [one for one in batch if one is not None]
            frames = np.array([like.frame for like in likes], np.uint64)
            found[:, eligible] = mixed(_bands(likes, self._rows) ^ frames[:, None]).T
        for file, column in zip(self._files, found, strict=True):
            file.write(column.tobytes())
        self._n += len(batch)

    def meetings(self) -> tuple[NDArray[np.int64], I32]:
        """The places of the examples that share a bucket with another, in order, and the buckets of each, numbered,
        ``NOWHERE`` for those that it shares with nobody: shape (places, bands)."""
        found: list[tuple[NDArray[np.int64], I32]] = []
        n_buckets = 0
        for file in self._files:
            places, numbers = _shared(_read(file, self._n))
            found.append((places, (numbers + n_buckets).astype(np.int32)))
            n_buckets += int(numbers.max(initial=NOWHERE)) + 1
        met = np.unique(np.concatenate([places for places, _ in found]))
        buckets = np.full((len(met), len(found)), NOWHERE, np.int32)
        for band, (places, numbers) in enumerate(found):
            buckets[np.searchsorted(met, places), band] = numbers
        return met, buckets


def _bands(likes: Sequence[Likeness], rows: int) -> U64:
    texts = [text for like in likes for text in like.texts]
    flat, starts = runs(*words(texts), SHINGLE)
    part = np.repeat(np.arange(len(texts)) % 3, np.diff(starts)).astype(np.uint64)  # a question's run is no answer's
    return bands(signatures(mixed(flat + part), starts[::3]), rows)


def _read(file: IO[bytes], n: int) -> U64:
    file.seek(0)
    return np.frombuffer(file.read(8 * n), np.uint64)


def _shared(names: U64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of names that occur more than once, in order, and a number for each such name."""
    order = np.argsort(names, kind="stable")
    ordered = names[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, bool)
    group = np.cumsum(begins) - 1
    shared = (np.bincount(group, minlength=1)[group] > 1) & (ordered != 0) if len(ordered) else begins
    _, numbers = np.unique(group[shared], return_inverse=True)
    places = order[shared]
    back = np.argsort(places)
    return places[back], numbers[back]
