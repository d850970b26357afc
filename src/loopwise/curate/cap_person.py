"""Limits how much one person can teach the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.types import Example

STEP = "cap per person"


def cap_per_person(examples: Iterable[Example], ledger: Ledger, most: int) -> Iterator[Example]:
    """Keeps the first ``most`` examples of each person: a number, not a share, so that few people cannot raise it.

    Examples of nobody (practice) are not limited; see ``examples.py`` for anonymous feedback.
    """
    kept: Counter[str] = Counter()
    for example in examples:
        if example.user is None:
            yield example
        elif kept[example.user] >= most:
            ledger.drop(STEP, f"{most} examples of this person came before", example)
        else:
            kept[example.user] += 1
            yield example
