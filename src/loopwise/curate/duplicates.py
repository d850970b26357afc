"""Drops what is there already, but for letter case, white space, line ends, quotes and Unicode variants."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from loopwise.curate.identity import content_id
from loopwise.curate.ledger import Ledger
from loopwise.curate.tally import Tally
from loopwise.types import Example

STEP = "duplicates"


def drop_duplicates(examples: Iterable[Example], ledger: Ledger, apart: Container[str] = ()) -> Iterator[Example]:
    """Keeps the first of examples that teach the same: lesson, prompt, answer and rejected answer, normalized.

    Takes 20 to 40 bytes for each. Examples of the people ``apart`` are let through: they must not stand for others'.
    """
    seen = Tally()
    for example in examples:
        if example.user is not None and example.user in apart:
            yield example
        elif seen.add(content_id(example)):
            ledger.drop(STEP, "the same prompt and answer came before", example)
        else:
            yield example
