"""Short ways to make examples and suites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loopwise.curate.ledger import Ledger
from loopwise.types import Example, Problem, Suite

Make = Callable[..., Any]


def make_example(question: str = "2+2?", answer: str = "4", **fields: Any) -> Example:
    values: dict[str, Any] = {"kind": "practice", "source": "s", "provenance": (f"{question}/{answer}",), **fields}
    return Example(messages=({"role": "user", "content": question},), completion=answer, **values)


def make_suite(*questions: str, name: str = "final", source: str = "s") -> Suite:
    problems = tuple(
        Problem(f"key:{question}", source, ({"role": "user", "content": question},), "", "exact")
        for question in questions
    )
    return Suite(name, "final", "v1", problems)


def through(step: Make, examples: list[Example]) -> tuple[list[str], Ledger]:
    """The answers that a step keeps, and its ledger."""
    ledger = Ledger()
    return [example.completion for example in step(examples, ledger)], ledger


@pytest.fixture(scope="session")
def example() -> Make:
    return make_example


@pytest.fixture(scope="session")
def suite() -> Make:
    return make_suite


@pytest.fixture(scope="session")
def answers() -> Make:
    return through
