"""Follow-ups: the person said something more. Thanks, doubt and new questions look alike."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly. What it predicts, if anything, is learned: the sign here is only where to start.
CONFIDENCE = {"human": 0.6, "implicit": 0.6, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Mildly against the answer: it left something to be said."""
    return made(feedback, exchange, -0.5, CONFIDENCE[feedback.source], "followed up")
