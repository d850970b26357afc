from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from loopwise.gate.pairing import PairedScores, pair
from loopwise.types import Problem, Suite, SuiteRole, SuiteScores


def suite_of(name: str, n: int, role: SuiteRole = "target", margin: float = 0.05) -> Suite:
    problems = tuple(
        Problem(f"{name}-{i}", name, ({"role": "user", "content": f"{name} question {i}"},), f"answer {i}", "exact")
        for i in range(n)
    )
    return Suite(name, role, f"version of {name}", problems, margin)


def scores_of(suite: Suite, release: str, scores: Sequence[float], answers: Sequence[str] = ()) -> SuiteScores:
    return SuiteScores(
        suite.name, suite.version, release, f"sha256:{release}", tuple(map(float, scores)), tuple(answers)
    )


def table(suite: Suite, gains: int, losses: int, both: int) -> PairedScores:
    n = len(suite.problems)
    champion = [0] * gains + [1] * losses + [1] * both + [0] * (n - gains - losses - both)
    candidate = [1] * gains + [0] * losses + [1] * both + [0] * (n - gains - losses - both)
    return pair(suite, scores_of(suite, "champion", champion), scores_of(suite, "candidate", candidate))


@pytest.fixture
def make_suite() -> Callable[..., Suite]:
    return suite_of


@pytest.fixture
def make_scores() -> Callable[..., SuiteScores]:
    return scores_of


@pytest.fixture
def make_pair() -> Callable[..., PairedScores]:
    """A pair of n questions with given gains and losses: ``make_pair(n, gains, losses, role=…, margin=…)``."""

    def make(
        n: int, gains: int, losses: int, both: int = 0, role: SuiteRole = "target", margin: float = 0.05
    ) -> PairedScores:
        return table(suite_of("words", n, role, margin), gains, losses, both)

    return make
