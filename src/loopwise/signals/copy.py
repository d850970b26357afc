"""Copies: a person took the answer, or a part of it, along."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly: people also copy what they want to check. It weighs nothing before it predicts.
CONFIDENCE = {"human": 0.8, "implicit": 0.8, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """For the answer."""
    return made(feedback, exchange, 1.0, CONFIDENCE[feedback.source], "copied")
