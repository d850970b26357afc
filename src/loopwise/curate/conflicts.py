"""Settles corrections that contradict each other: people gave one prompt several right answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.curate.text import normalized, prompt
from loopwise.types import Example

STEP = "conflicts"


def settle_conflicts(examples: Iterable[Example], ledger: Ledger) -> Iterator[Example]:
    """Of differing corrections for one prompt, keeps those with the answer that most people gave; at a tie, the latest.

    Each person has one voice per prompt, that of their latest correction; all anonymous corrections are one person.
    Looks at demonstrations only, and needs them all at once. Comes before deduplication, which would take the voices
    away.
    """
    rows = list(examples)
    asked: dict[str, list[Example]] = {}
    for example in rows:
        if example.kind == "demonstration":
            asked.setdefault(prompt(example), []).append(example)
    winners = {question: _winner(corrections) for question, corrections in asked.items()}
    for example in rows:
        if example.kind == "demonstration" and normalized(example.completion) != winners[prompt(example)]:
            ledger.drop(STEP, "another correction of the same prompt has more people behind it, or is later", example)
        else:
            yield example


def _winner(corrections: list[Example]) -> str:
    voices: dict[str | None, Example] = {}
    for example in corrections:
        if example.user not in voices or _age(example) >= _age(voices[example.user]):
            voices[example.user] = example
    people: dict[str, int] = {}
    latest: dict[str, tuple[int, tuple[str, ...], str]] = {}
    for example in voices.values():
        answer = normalized(example.completion)
        people[answer] = people.get(answer, 0) + 1
        latest[answer] = max(latest.get(answer, _age(example)), _age(example))
    return max(people, key=lambda answer: (people[answer], latest[answer], answer))


def _age(example: Example) -> tuple[int, tuple[str, ...], str]:
    return example.order, example.provenance, normalized(example.completion)
