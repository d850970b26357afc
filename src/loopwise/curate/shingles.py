"""Runs of words as 64-bit numbers, for many texts at once: what near duplicates and suites are found by.

All arrays of numbers are uint64; a list of runs of several texts is flat, with ``starts`` (int64, one more than there
are texts) saying where each text's runs begin. Equal in every process and on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

_BYTE = np.uint64(0x100000001B3)  # FNV's prime; odd, so that no power of it is 0
_WORD = np.uint64(0x9E3779B97F4A7C15)
_SPACE, _BREAK = 32, 10


def mixed(numbers: U64) -> U64:
    """The finalizer of SplitMix64 (Steele et al. 2014): a permutation that makes neighbors unlike."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def words(texts: Sequence[str]) -> tuple[U64, I64]:
    """A number for each word of each text, and where each text's begin. Words are parted by single spaces
    (``text.spaced``).

    Each is a polynomial in the bytes of the word, mixed; all at once, in a tenth of the time of a loop over words.
    """
    raw = np.frombuffer("\n".join([*texts, ""]).encode("utf-8", "surrogatepass"), dtype=np.uint8)
    gap = (raw == _SPACE) | (raw == _BREAK)
    begins = np.flatnonzero(~gap & np.concatenate([[True], gap[:-1]]))
    starts = np.concatenate([[0], np.searchsorted(begins, np.flatnonzero(raw == _BREAK))]).astype(np.int64)
    if not len(begins):
        return np.empty(0, np.uint64), starts
    first = int(begins[0])
    within = np.arange(first, len(raw)) - np.repeat(begins, np.diff(np.append(begins, len(raw))))
    terms = (raw[first:].astype(np.uint64) + np.uint64(1)) * _powers(int(within.max()) + 1)[within]
    terms[gap[first:]] = 0
    return mixed(np.add.reduceat(terms, begins - first)), starts


def _powers(n: int) -> U64:
    powers = np.full(n, _BYTE, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def runs(flat: U64, starts: I64, n: int) -> tuple[U64, I64]:
    """A number for each run of ``n`` words within a text; a text of fewer words has none."""
    counts = np.maximum(np.diff(starts) - n + 1, 0)
    if len(flat) < n:
        return np.empty(0, np.uint64), np.zeros(len(starts), np.int64)
    hashed = flat[: len(flat) - n + 1].copy()
    for k in range(1, n):
        hashed = hashed * _WORD + flat[k : len(flat) - n + 1 + k]
    run_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    taken: I64 = np.arange(int(run_starts[-1])) + np.repeat(starts[:-1] - run_starts[:-1], counts)
    return mixed(hashed[taken]), run_starts
