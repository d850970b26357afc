"""Acceptances: a person took the answer as it was."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly: taking an answer is nearly saying that it is good. It weighs nothing before it predicts.
CONFIDENCE = {"human": 0.9, "implicit": 0.9, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """For the answer."""
    return made(feedback, exchange, 1.0, CONFIDENCE[feedback.source], "accepted")
