"""Feedback → signals: which kinds mean something, and which feedback still stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loopwise.signals import correction, thumbs
from loopwise.types import Exchange, Feedback, FeedbackKind, Signal

Reader = Callable[[Feedback, Exchange], Signal]

READERS: dict[FeedbackKind, Reader] = {
    "correction": correction.read,
    "thumbs": thumbs.read,
}


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """What one feedback on ``exchange`` is taken to mean; None for kinds that are kept but not yet understood."""
    reader = READERS.get(feedback.kind)
    return reader(feedback, exchange) if reader else None


def signals(feedback: Sequence[Feedback], exchanges: Mapping[str, Exchange]) -> list[Signal]:
    """The signals of all feedback that still stands, by time; ``exchanges`` by id.

    A feedback falls when a later one of the same person names it in ``supersedes``, or is of the same kind on the same
    choice of the same exchange. Anonymous feedback falls only by name, since it may come from different people.
    Feedback on an exchange that is not there yet says nothing for now; so does feedback on an episode.
    """
    ordered = sorted(feedback, key=lambda row: (row.at, row.id))
    by_id = {row.id: row for row in ordered}
    fallen = {row.supersedes for row in ordered if row.supersedes in by_id and _may_replace(row, by_id[row.supersedes])}
    last = {_place(row): row.id for row in ordered if row.user is not None and row.id not in fallen}
    found: list[Signal] = []
    for row in ordered:
        stands = row.id not in fallen and last.get(_place(row), row.id) == row.id
        if stands and row.exchange_id is not None and row.exchange_id in exchanges:
            signal = read(row, exchanges[row.exchange_id])
            if signal is not None:
                found.append(signal)
    return found


def _may_replace(later: Feedback, earlier: Feedback) -> bool:
    """Nobody withdraws what another person said."""
    return later.id != earlier.id and later.user == earlier.user


def _place(feedback: Feedback) -> tuple[str | None, str | None, str, int]:
    return feedback.user, feedback.exchange_id, feedback.kind, feedback.choice
