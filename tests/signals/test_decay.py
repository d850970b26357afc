from __future__ import annotations

from typing import Any

import pytest

from loopwise.config import SignalSettings
from loopwise.signals.decay import kept, likeness
from loopwise.store import Store
from town import exchange, record, said, weighed

TOOL: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "search"}}]}


def test_likeness_is_the_share_of_words_in_common():
    assert likeness(frozenset("abc"), frozenset("bcd")) == 0.5
    assert likeness(frozenset(), frozenset()) == 1.0
    assert likeness(frozenset("a"), frozenset()) == 0.0


def test_what_is_left_by_hand():
    assert kept(1.0, 0.5) == 1.0
    assert kept(0.5, 0.25) == 0.5
    assert (kept(0.0, 0.0), kept(1.0, 0.0)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ({"system": "Be brief and kind."}, 1.0),
        ({"system": "be  BRIEF and kind."}, 1.0),
        ({"system": "Be brief."}, 0.5 ** (1 - 1 / 5)),  # "be" of {be, brief, and, kind., brief.}
        ({"system": "Be brief and kind.", "request": TOOL}, 0.5**0.2),
        ({}, 0.5),
    ],
)
def test_what_was_said_under_other_instructions_counts_less(sqlite_store: Store, told: dict[str, Any], left: float):
    today = [exchange(f"t{n}", system="Be brief and kind.") for n in range(3)]
    record(sqlite_store, [exchange("e", "old", **told), said("up", "thumbs", 1), *today])

    _, signals = weighed(sqlite_store, SignalSettings(other_prompt=0.5))

    assert signals["up"].confidence == pytest.approx(0.7 * left)
    assert ("other instructions" in signals["up"].reason) == (left < 1)


def test_today_is_what_is_most_frequent_among_the_latest_five_hundred(sqlite_store: Store):
    old = [exchange(f"o{n}", system="old") for n in range(900)]
    new = [exchange(f"n{n}", system="new") for n in range(251)]
    mixed = [row for pair in zip(old[651:900], new, strict=False) for row in pair] + new[249:]
    record(sqlite_store, [*old[:651], *mixed, said("was", "thumbs", 1, "o1"), said("is", "thumbs", 1, "n1", "v")])

    _, signals = weighed(sqlite_store)

    assert (signals["was"].confidence, signals["is"].confidence) == (pytest.approx(0.35), 0.7)
