"""Thumbs: one bit about an answer."""

from __future__ import annotations

from loopwise.types import Exchange, Feedback, Signal

# One bit, given in passing: people err and differ, so a thumb tells less than a written correction. The figures are
# starting points, to be replaced by what is measured of each source.
CONFIDENCE = {"human": 0.7, "implicit": 0.3, "judge": 0.6, "verifier": 1.0}


def read(feedback: Feedback, exchange: Exchange) -> Signal:
    """The thumb's sign as the strength: 1 or -1."""
    return Signal(
        feedback_id=feedback.id,
        exchange_id=exchange.id,
        strength=1.0 if feedback.value > 0 else -1.0,
        confidence=CONFIDENCE[feedback.source],
        reason=f"thumbs {'up' if feedback.value > 0 else 'down'} from a source of kind {feedback.source}",
        kind=feedback.kind,
        source=feedback.source,
        at=feedback.at,
        choice=feedback.choice,
        user=feedback.user,
    )
