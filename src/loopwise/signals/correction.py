"""Corrections: somebody wrote the right answer, which is a demonstration, and a mark against the answer given."""

from __future__ import annotations

from loopwise.types import Exchange, Feedback, Signal

# Writing an answer takes thought, and shows what is meant where a thumb only hints: edits beat thumbs. Not 1.0 for
# people, who slip too; a judge's rewriting is a model's opinion; a verifier's answer is the problem's reference.
CONFIDENCE = {"human": 0.9, "implicit": 0.5, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal:
    """Strength -1 for the answer that was given; ``text`` is the right one."""
    return Signal(
        feedback_id=feedback.id,
        exchange_id=exchange.id,
        strength=-1.0,
        confidence=CONFIDENCE[feedback.source],
        reason=f"corrected by a source of kind {feedback.source}",
        kind=feedback.kind,
        source=feedback.source,
        at=feedback.at,
        choice=feedback.choice,
        user=feedback.user,
        text=feedback.value,
    )
