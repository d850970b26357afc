"""Ratings: a number on a scale. What a person's numbers mean is learned from that person's others (``ratings.py``)."""

from __future__ import annotations

from typing import Any, cast

from loopwise.signals.made import made, number
from loopwise.types import Exchange, Feedback, Signal

CONFIDENCE = {"human": 0.7, "implicit": 0.3, "judge": 0.6, "verifier": 1.0}  # as thumbs: finer, and used unlike by each


def share(feedback: Feedback) -> float | None:
    """Where the rating lies on its scale: 0 lowest, 1 highest; None for a value or a scale that is none."""
    scale: Any = feedback.metadata.get("scale")
    ends = [number(end) for end in cast(list[Any], scale)] if isinstance(scale, list) else []
    value = number(feedback.value)
    if value is None or len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] >= ends[1]:
        return None
    return min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0])))


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """The place on the scale, the middle as 0."""
    place = share(feedback)
    if place is None:
        return None
    return made(feedback, exchange, 2 * place - 1, CONFIDENCE[feedback.source], f"rated {place:.2f} of the scale")
