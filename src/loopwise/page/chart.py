"""Where the marks of the chart go, in the SVG's own units. No drawing library: a point and a bar need none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopwise.page.view import Point

HEIGHT = 260
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 28, 40
STEP = 72  # between two releases; a long history scrolls
LEAST_WIDTH = 320
LONGEST_NAME = 11  # characters under a mark; the table has it whole


@dataclass(frozen=True)
class Mark:
    """A release's point with the ends of its interval bar."""

    x: float
    y: float
    y_low: float
    y_high: float
    label: str
    point: Point


@dataclass(frozen=True)
class Chart:
    """The drawing: ``lines`` are (y, percent) of the grid."""

    width: float
    height: float
    left: float
    right: float
    bottom: float
    lines: list[tuple[float, int]]
    marks: list[Mark]


def drawn(points: Sequence[Point]) -> Chart:
    """Scores from 0 to 100 % upwards, releases from old to new rightwards. Wants at least one point."""
    width = max(LEAST_WIDTH, LEFT + RIGHT + STEP * len(points))
    step = (width - LEFT - RIGHT) / len(points)
    marks = [
        Mark(LEFT + step * (place + 0.5), _y(point.score), _y(point.low), _y(point.high), _short(point.release), point)
        for place, point in enumerate(points)
    ]
    lines = [(_y(percent / 100), percent) for percent in (0, 25, 50, 75, 100)]
    return Chart(width, HEIGHT, LEFT, width - RIGHT, HEIGHT - BOTTOM, lines, marks)


def _y(share: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
