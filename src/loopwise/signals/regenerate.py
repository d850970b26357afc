"""Regenerations: the same was asked again, for another answer."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly: a client's retry looks the same. It weighs nothing before it predicts.
CONFIDENCE = {"human": 0.8, "implicit": 0.8, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Against the answer; ``instead`` is the exchange that was asked for in its place."""
    return made(feedback, exchange, -1.0, CONFIDENCE[feedback.source], "asked for again")
