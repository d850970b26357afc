from __future__ import annotations

import pytest

from loopwise.errors import UsageError
from loopwise.stats.newcombe import newcombe


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # Newcombe (1998), table II, method 10
        ((56 / 70, 70), (48 / 80, 80), 0.0524, 0.3339),
        ((9 / 10, 10), (3 / 10, 10), 0.1705, 0.8090),
        ((10 / 10, 10), (0 / 20, 20), 0.6791, 1.0000),
        ((0 / 10, 10), (0 / 10, 10), -0.2775, 0.2775),
    ],
)
def test_the_published_intervals(first: tuple[float, int], second: tuple[float, int], low: float, high: float):
    found = newcombe(first, second)

    assert found.estimate == pytest.approx(first[0] - second[0])
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize("first", [(1.1, 5), (-0.1, 5), (0.5, 0), (float("nan"), 5)])
def test_what_is_no_proportion_is_refused(first: tuple[float, float]):
    with pytest.raises(UsageError, match="is no proportion"):
        newcombe(first, (0.5, 5))
