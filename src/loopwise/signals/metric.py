"""Metrics: a product's own numbers. Whether more is better, and whether it tells anything, is learned for each name."""

from __future__ import annotations

from loopwise.signals.made import made, number
from loopwise.types import Exchange, Feedback, Signal

# If it predicted perfectly; it weighs nothing before it predicts. A verifier's number is its verdict.
CONFIDENCE = {"human": 0.9, "implicit": 0.9, "judge": 0.9, "verifier": 1.0}


def name(feedback: Feedback) -> str:
    """Each name is a kind of its own."""
    return f"metric:{feedback.metadata.get('name', '')}"


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Shares of 1 by their place, beyond them the ends: where to start, before a name's direction is learned."""
    value = number(feedback.value)
    if value is None:
        return None
    strength = min(1.0, max(-1.0, 2 * value - 1))
    return made(feedback, exchange, strength, CONFIDENCE[feedback.source], f"{name(feedback)} is {value:g}")
