"""A signal of one feedback: what every reader fills in alike."""

from __future__ import annotations

from loopwise.types import Exchange, Feedback, Signal


def made(
    feedback: Feedback,
    exchange: Exchange,
    strength: float,
    confidence: float,
    reason: str,
    *,
    text: str | None = None,
    worse: str | None = None,
) -> Signal:
    """``reason`` is what was done, such as "thumbs up"; who did it is added."""
    by: object = feedback.metadata.get("by")
    return Signal(
        feedback_id=feedback.id,
        exchange_id=exchange.id,
        strength=strength,
        confidence=confidence,
        reason=f"{reason} (source: {feedback.source})",
        kind=feedback.kind,
        source=feedback.source,
        at=feedback.at,
        choice=feedback.choice,
        user=feedback.user,
        text=text,
        worse=worse,
        instead=by if feedback.kind == "regenerate" and isinstance(by, str) else None,
    )


def number(value: object) -> float | None:
    """The value as a finite number; None for what is none."""
    if isinstance(value, bool | int | float) and abs(value) < float("inf"):
        return float(value)
    return None
