"""Drops what is there already but for letter case, white space and Unicode variants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.curate.text import normalized, prompt
from loopwise.types import Example

STEP = "normalized duplicates"


def drop_normalized_duplicates(examples: Iterable[Example], ledger: Ledger) -> Iterator[Example]:
    """Keeps the first of examples whose prompt and answer are equal when normalized."""
    seen: set[tuple[str, str]] = set()
    for example in examples:
        content = (prompt(example), normalized(example.completion))
        if content in seen:
            ledger.drop(STEP, "a prompt and answer that differ only in form came before", example)
        else:
            seen.add(content)
            yield example
