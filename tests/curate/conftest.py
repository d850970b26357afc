"""Short ways to make examples and suites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loopwise.types import Example, Problem, Suite

Make = Callable[..., Any]


def make_example(question: str = "2+2?", answer: str = "4", **fields: Any) -> Example:
    values: dict[str, Any] = {"kind": "practice", "source": "s", "provenance": (f"{question}/{answer}",), **fields}
    return Example(messages=({"role": "user", "content": question},), completion=answer, **values)


def make_suite(*questions: str, name: str = "final") -> Suite:
    problems = tuple(
        Problem(f"key:{question}", "s", ({"role": "user", "content": question},), "", "exact") for question in questions
    )
    return Suite(name, "final", "v1", problems)


@pytest.fixture(scope="session")
def example() -> Make:
    return make_example


@pytest.fixture(scope="session")
def suite() -> Make:
    return make_suite
