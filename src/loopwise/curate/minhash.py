"""MinHash signatures (Broder 1997) and the bands by which like ones meet (Leskovec, Rajaraman, Ullman, chapter 3).

In NumPy on purpose: see docs/decisions.md. Signatures only say whom to compare; what is a near duplicate is decided on
the texts themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loopwise.curate.shingles import I64, U64, mixed

N_HASHES = 64
RECALL = 0.99  # of pairs that are exactly as alike as the threshold; of more alike ones it is higher
_SEED = 20_260_101

_drawn = np.random.Generator(np.random.PCG64(_SEED)).integers(0, 2**32, (2, N_HASHES), dtype=np.uint32)
_SHIFTS_K, _FACTORS_K = _drawn[0], _drawn[1] | np.uint32(1)  # odd: each hash is a permutation of the 32-bit numbers


def signatures(flat: U64, starts: I64) -> NDArray[np.uint32]:
    """The signature of each text's numbers, shape (texts, ``N_HASHES``); of a text without any, all zeros."""
    found = np.zeros((len(starts) - 1, N_HASHES), np.uint32)
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        high = (flat >> np.uint64(32)).astype(np.uint32)
        for k in range(N_HASHES):
            found[filled, k] = np.minimum.reduceat((high ^ _SHIFTS_K[k]) * _FACTORS_K[k], starts[filled])
    return found


def rows_per_band(threshold: float) -> int:
    """The most hashes per band with which two texts of Jaccard similarity ``threshold`` still share a band with
    probability ``RECALL``: the more there are, the fewer unlike texts are compared for nothing."""
    for rows in range(16, 1, -1):
        if 1.0 - (1.0 - threshold**rows) ** (N_HASHES // rows) >= RECALL:
            return rows
    return 1


def bands(signatures_TK: NDArray[np.uint32], rows: int) -> U64:
    """A number for each band of each signature, shape (texts, ``N_HASHES // rows``): equal for equal bands."""
    n = N_HASHES // rows
    parts = signatures_TK[:, : n * rows].reshape(-1, n, rows).astype(np.uint64)
    found = np.broadcast_to(np.arange(n, dtype=np.uint64), parts.shape[:2]).copy()
    for k in range(rows):
        found = mixed(found ^ parts[:, :, k]) + np.uint64(k)
    return found
