"""Keeps out what people in quarantine taught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from loopwise.curate.ledger import Ledger
from loopwise.types import Example

STEP = "quarantine"


def drop_quarantined(examples: Iterable[Example], ledger: Ledger, quarantined: Mapping[str, str]) -> Iterator[Example]:
    """Drops the examples of ``quarantined`` people, with the reason that the mapping gives.

    The steps before this one give these people no voice and let none of their examples stand for another's, so that
    whoever is let out of quarantine, or put into it, changes nothing for the others.
    """
    for example in examples:
        if example.user is not None and example.user in quarantined:
            ledger.drop(STEP, f"its person is in quarantine: {quarantined[example.user]}", example)
        else:
            yield example
