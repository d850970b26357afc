"""What lets curation work through more than fits into memory."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from loopwise.curate.sorting import sorted_lines
from loopwise.curate.spill import spilled
from loopwise.curate.tally import Tally


def test_a_tally_counts_as_a_counter_does():
    rng = random.Random(3)
    names = [rng.choice([rng.getrandbits(64), rng.randrange(50), 1 << 63]) for _ in range(20_000)]
    tally, counter = Tally(), Counter()

    for name in names:
        assert tally.add(name) == counter[name]
        counter[name] += 1

    assert len(tally) == len(counter)
    assert all(tally[name] == count for name, count in counter.items())
    assert tally[12345678901234567890] == counter[12345678901234567890]


def test_names_that_fall_on_one_place_are_told_apart():
    tally = Tally()
    names = [i << 40 for i in range(300)]

    assert [tally.add(name) for name in names] == [0] * 300
    assert [tally.add(name) for name in names] == [1] * 300


@pytest.mark.parametrize("piece_bytes", [1, 40, 1_000_000])
def test_lines_are_sorted_whether_or_not_they_fit_into_a_piece(piece_bytes):
    rng = random.Random(5)
    lines = [rng.randbytes(rng.randrange(9)).replace(b"\n", b"") for _ in range(200)]

    with sorted_lines(lines, piece_bytes) as found:
        assert list(found) == sorted(lines)


def test_a_spill_gives_back_what_it_was_given_in_any_order(example):
    rows = [example(str(i), "ü\x00\ud800" * i, tools=({"type": "function"},), weight=i / 3) for i in range(20)]

    with spilled() as spill:
        assert [spill.add(row) for row in rows] == list(range(20))
        assert spill[7] == rows[7]
        assert list(spill) == rows
        assert spill.add(rows[3]) == 20
        assert [spill[20], spill[0]] == [rows[3], rows[0]]
