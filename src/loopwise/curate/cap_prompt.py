"""Limits how much one prompt counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.curate.text import prompt
from loopwise.types import Example

STEP = "cap per prompt"


def cap_per_prompt(examples: Iterable[Example], ledger: Ledger, most: int) -> Iterator[Example]:
    """Keeps the first ``most`` examples of each prompt; after deduplication these are distinct."""
    kept: Counter[str] = Counter()
    for example in examples:
        content = prompt(example)
        if kept[content] >= most:
            ledger.drop(STEP, f"{most} answers to this prompt came before", example)
        else:
            kept[content] += 1
            yield example
