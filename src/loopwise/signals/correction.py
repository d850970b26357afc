"""Corrections: somebody wrote the right answer, which is a demonstration, and a mark against the answer given."""

from __future__ import annotations

from loopwise.signals.made import made
from loopwise.signals.words import answers
from loopwise.types import Exchange, Feedback, Signal

# Writing an answer takes thought, and shows what is meant where a thumb only hints: edits beat thumbs. Not 1.0 for
# people, who slip too; a judge's rewriting is a model's opinion; a verifier's answer is the problem's reference.
CONFIDENCE = {"human": 0.9, "implicit": 0.5, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """Strength -1 for the answer that was given; ``text`` is the right one. A text equal to the answer approves of it,
    and one without words says nothing."""
    text: object = feedback.value
    if not isinstance(text, str) or not text.strip():
        return None
    confidence = CONFIDENCE[feedback.source]
    if text.strip() == answers(exchange).get(feedback.choice, "").strip():
        return made(feedback, exchange, 1.0, confidence, "corrected to the very answer that was given")
    return made(feedback, exchange, -1.0, confidence, "corrected", text=text)
