"""Drops what is there already, to the letter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.curate.text import exact
from loopwise.types import Example

STEP = "duplicates"


def drop_duplicates(examples: Iterable[Example], ledger: Ledger) -> Iterator[Example]:
    """Keeps the first of examples with the same prompt and answer."""
    seen: set[str] = set()
    for example in examples:
        content = exact(example)
        if content in seen:
            ledger.drop(STEP, "the same prompt and answer came before", example)
        else:
            seen.add(content)
            yield example
