"""Edits: the text that a person made of the answer, which shows what they wanted."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.signals.words import answers
from loopwise.types import Exchange, Feedback, Signal

# People edit what is nearly right, and also for reasons of their own (length, tone): less than a correction that was
# given as one, more than a thumb.
CONFIDENCE = {"human": 0.8, "implicit": 0.7, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Strength -1 for the answer that was given; ``text`` is what it became. A text left as it was is an acceptance,
    and a deleted one shows nothing better."""
    text: object = feedback.value
    if not isinstance(text, str) or not text.strip():
        return None
    confidence = CONFIDENCE[feedback.source]
    if text.strip() == answers(exchange).get(feedback.choice, "").strip():
        return made(feedback, exchange, 1.0, confidence, "kept as it was")
    return made(feedback, exchange, -1.0, confidence, "edited", text=text)
