"""The table of kinds: what each feedback is taken to mean, before anything is known of who gave it."""

from __future__ import annotations

from collections.abc import Callable

from loopwise.signals import (
    abandon,
    accept,
    comment,
    copy,
    correction,
    edit,
    follow_up,
    metric,
    preference,
    rating,
    regenerate,
    thumbs,
)
from loopwise.types import Exchange, Feedback, FeedbackKind, Signal

Reader = Callable[[Feedback, Exchange], Signal | None]

READERS: dict[FeedbackKind, Reader] = {
    "thumbs": thumbs.read,
    "rating": rating.read,
    "metric": metric.read,
    "correction": correction.read,
    "preference": preference.read,
    "comment": comment.read,
    "accept": accept.read,
    "copy": copy.read,
    "edit": edit.read,
    "regenerate": regenerate.read,
    "abandon": abandon.read,
    "follow_up": follow_up.read,
}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """What one feedback on ``exchange`` is taken to mean; None where it says nothing of how good the answer is."""
    return READERS[feedback.kind](feedback, exchange)
