"""Thumbs: one bit about an answer."""

from __future__ import annotations

from loopwise.signals.made import made, number
from loopwise.types import Exchange, Feedback, Signal

# One bit, given in passing: people err and differ, so a thumb tells less than a written correction. The figures are
# those of somebody of whom nothing is known yet; what is measured of a person moves them.
CONFIDENCE = {"human": 0.7, "implicit": 0.3, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """The thumb's sign as the strength: 1 or -1."""
    value = number(feedback.value)
    if not value:
        return None
    up = value > 0
    return made(
        feedback, exchange, 1.0 if up else -1.0, CONFIDENCE[feedback.source], f"thumbs {'up' if up else 'down'}"
    )
