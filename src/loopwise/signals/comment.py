"""Comments: kept for people to read. No direction is guessed from words."""

from __future__ import annotations

from loopwise.types import Exchange, Feedback, Signal


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """None: a comment says nothing that is trained on."""
    return None
