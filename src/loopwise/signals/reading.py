"""The table of kinds: what each feedback is taken to mean, before anything is known of who gave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


def signals(feedback: Sequence[Feedback], exchanges: Mapping[str, Exchange]) -> list[Signal]:
    """The signals of thumbs and corrections that still stand, by time, unweighed; ``exchanges`` by id."""
    ordered = sorted(feedback, key=lambda row: (row.at, row.id))
    by_id = {row.id: row for row in ordered}
    fallen = {row.supersedes for row in ordered if row.supersedes in by_id and _may_replace(row, by_id[row.supersedes])}
    last = {_place(row): row.id for row in ordered if row.user is not None and row.id not in fallen}
    found: list[Signal] = []
    for row in ordered:
        stands = row.id not in fallen and last.get(_place(row), row.id) == row.id
        exchange = exchanges.get(row.exchange_id or "")
        if stands and row.kind in ("thumbs", "correction") and exchange is not None:
            signal = read(row, exchange)
            if signal is not None:
                found.append(signal)
    return found


def _may_replace(later: Feedback, earlier: Feedback) -> bool:
    """Nobody withdraws what another person said."""
    return later.id != earlier.id and later.user == earlier.user


def _place(feedback: Feedback) -> tuple[str | None, str | None, str, int]:
    return feedback.user, feedback.exchange_id, feedback.kind, feedback.choice
