"""Abandonments: a person left before the answer was used, or before it was whole."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly: people also leave with what they wanted. It weighs nothing before it predicts.
CONFIDENCE = {"human": 0.6, "implicit": 0.6, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Against the answer."""
    return made(feedback, exchange, -1.0, CONFIDENCE[feedback.source], "left")
