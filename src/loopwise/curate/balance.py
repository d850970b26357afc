"""Keeps one segment of what people taught from drowning the others."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from loopwise.curate.identity import number
from loopwise.curate.ledger import Ledger
from loopwise.curate.spill import spilled
from loopwise.types import Example

STEP = "balance"
FEWEST = 500  # a tiny segment must not shrink its neighbors to its own size
_ROUNDING = 1e-9


def balance(examples: Iterable[Example], ledger: Ledger, share: float, fewest: int = 0) -> Iterator[Example]:
    """Cuts each segment to at most ``share`` of people's examples, where there are two segments or more; none is cut
    below ``fewest``.

    Of a segment that is too large, those examples stay whose hash is lowest: it does not matter who came first. An
    example that names no segment belongs to none: it is not cut, and counts in the whole. Where so few segments are
    left that they cannot all be within ``share`` (three with 0.3), the bound is an equal part for each. Two passes; 8
    bytes in memory for each example, and 8 more for those that name a segment.
    """
    with spilled() as spill:
        drawn: dict[str, array[int]] = {}  # by segment, the hash of each of its examples
        for example in examples:
            spill.add(example)
            if example.user is not None:
                drawn.setdefault(example.segment, array("Q")).append(_hash(example))
        n_other = len(drawn.pop("", ()))
        most = max(fewest, most_of_each([len(hashes) for hashes in drawn.values()], n_other, share))
        limits = {name: _lowest(hashes, most) for name, hashes in drawn.items() if len(hashes) > most}
        at_limit = dict.fromkeys(limits, 0)
        for example in spill:
            if example.user is None or example.segment not in limits:
                yield example
                continue
            (limit, room), hashed = limits[example.segment], _hash(example)
            at_limit[example.segment] += hashed == limit
            if hashed < limit or (hashed == limit and at_limit[example.segment] <= room):
                yield example
            else:
                ledger.drop(STEP, f"its segment would be more than {share:g} of people's examples", example)


def most_of_each(sizes: Sequence[int], n_other: int, share: float) -> int:
    """The largest C for which each min(size, C) is at most ``share`` of the sum of them all and ``n_other``."""
    ordered = sorted(sizes)
    if len(ordered) < 2:
        return max(ordered, default=0)
    share = max(share, 1.0 / len(ordered))
    whole = n_other  # of what is smaller than C
    for i, size in enumerate(ordered):
        cut = len(ordered) - i
        if cut * share < 1.0 - _ROUNDING:  # C <= share * (whole + cut * C), as long as C is no more than ``size``
            bound = share * whole / (1.0 - cut * share)
            if bound < size:
                return int(bound + _ROUNDING)
        whole += size
    return ordered[-1]


def _lowest(hashes: array[int], n: int) -> tuple[int, int]:
    """The ``n``-th lowest hash, and how many examples of just that hash are among the lowest ``n``."""
    ordered = np.array(hashes, np.uint64)
    ordered.sort()
    limit = int(ordered[n - 1])
    return limit, n - int(np.count_nonzero(ordered < limit))


def _hash(example: Example) -> int:
    return number("\x1d".join([*example.provenance, example.kind, example.completion]))
