"""Limits how much one prompt, person, group or time can teach: numbers, not shares, so that few cannot raise them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from loopwise.curate.identity import lesson, number
from loopwise.curate.ledger import Ledger
from loopwise.curate.tally import Tally
from loopwise.curate.text import prompt
from loopwise.types import Example

PROMPT, PERSON, GROUP, WINDOW = "cap per prompt", "cap per person", "cap per group", "cap per window"


def cap_per_prompt(examples: Iterable[Example], ledger: Ledger, most: int) -> Iterator[Example]:
    """Keeps the first ``most`` examples of each prompt, counted apart for answers to imitate, answers to avoid and
    pairs, which train by different losses; after deduplication these are distinct."""
    kept = Tally()
    for example in examples:
        name = number(f"{lesson(example)}\x1d{prompt(example)}")
        if kept[name] >= most:
            ledger.drop(PROMPT, f"{most} answers to this prompt came before", example)
        else:
            kept.add(name)
            yield example


def cap_per_person(examples: Iterable[Example], ledger: Ledger, most: int) -> Iterator[Example]:
    """Keeps the first ``most`` examples of each person. Examples of nobody (practice) are not limited; see
    ``examples.py`` for anonymous feedback."""
    kept: Counter[str] = Counter()
    for example in examples:
        if example.user is None:
            yield example
        elif kept[example.user] >= most:
            ledger.drop(PERSON, f"{most} examples of this person came before", example)
        else:
            kept[example.user] += 1
            yield example


def cap_per_group(
    examples: Iterable[Example], ledger: Ledger, most: int, groups: Mapping[str, str]
) -> Iterator[Example]:
    """Keeps the first ``most`` examples of each group of alike accounts."""
    kept: Counter[str] = Counter()
    for example in examples:
        group = None if example.user is None else groups.get(example.user)
        if group is None:
            yield example
        elif kept[group] >= most:
            ledger.drop(GROUP, f"{most} examples of this group of accounts came before", example)
        else:
            kept[group] += 1
            yield example


def cap_per_window(examples: Iterable[Example], ledger: Ledger, most: int, hours: float) -> Iterator[Example]:
    """Keeps the first ``most`` examples of people in each window of ``hours``, the windows counted from 1970."""
    kept: Counter[int] = Counter()
    for example in examples:
        if example.user is None:
            yield example
            continue
        window = int(example.at // (3_600 * hours))
        if kept[window] >= most:
            ledger.drop(WINDOW, f"{most} examples of people within {hours:g} hours came before", example)
        else:
            kept[window] += 1
            yield example
