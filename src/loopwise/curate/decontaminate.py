"""Keeps every suite out of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from loopwise.curate.ledger import Ledger, Step
from loopwise.curate.text import asked, questions as questions_of
from loopwise.types import Example, Suite

STEP = "decontaminate"


def decontaminate(suites: Sequence[Suite]) -> Step:
    """A step that drops each example whose canonical key or whose question is in one of ``suites``."""
    keys: dict[str, str] = {}
    questions: dict[str, str] = {}
    for suite in suites:
        for problem in suite.problems:
            keys.setdefault(problem.key, suite.name)
            questions.setdefault(asked(problem.messages), suite.name)
    return partial(_drop, keys=keys, questions=questions)


def _drop(
    examples: Iterable[Example], ledger: Ledger, keys: dict[str, str], questions: dict[str, str]
) -> Iterator[Example]:
    for example in examples:
        if example.key in keys:
            ledger.drop(STEP, f"its key is in the suite {keys[example.key]}", example)
        elif met := sorted(questions[text] for text in questions_of(example) if text in questions):
            ledger.drop(STEP, f"its question is in the suite {met[0]}", example)
        else:
            yield example
