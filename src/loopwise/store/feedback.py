"""Feedback in order of arrival. Append-only: what supersedes what is decided when it is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from loopwise.store import forgotten
from loopwise.store.consent import as_allowed, text_kept
from loopwise.store.inserts import insert_records
from loopwise.store.lookups import STREAMED, find
from loopwise.store.schema import feedback
from loopwise.store.textless import textless_feedback
from loopwise.types import Feedback

_FIELDS = tuple(field.name for field in fields(Feedback))
_ABOUT_EXCHANGES = "SELECT seq FROM feedback WHERE exchange_id IN ({marks})"
_ABOUT_EPISODES = "SELECT seq FROM feedback WHERE exchange_id IS NULL AND episode_id IN ({marks})"


def add(conn: Connection, rows: Sequence[Feedback]) -> frozenset[str]:
    """Adds feedback, without its text where an exchange was served with ``store: false``; the same id twice is one
    feedback, the first. Returns the ids of those exchanges that ``rows`` name and the store has.

    Raises UnstorableError, which names the row, and ForgottenError where an exchange went with a forgotten person.
    """
    named = {row.exchange_id for row in rows if row.exchange_id}
    kept = text_kept(conn, named)
    if len(kept) < len(named):
        forgotten.refuse(conn, named - kept.keys())
    insert_records(conn, feedback, as_allowed(conn, rows, kept), _FIELDS)
    return frozenset(kept)


def up_to(conn: Connection, watermark: int) -> Iterator[tuple[int, Feedback]]:
    """(seq, feedback) for all with ``seq <= watermark``, in order, a few at a time."""
    query = select(feedback).where(feedback.c.seq <= watermark).order_by(feedback.c.seq)
    for row in conn.execute(query, execution_options=STREAMED).mappings():
        yield row["seq"], feedback_of(row)


def of_exchange(conn: Connection, exchange_id: str) -> list[Feedback]:
    query = select(feedback).where(feedback.c.exchange_id == exchange_id).order_by(feedback.c.seq)
    return [feedback_of(row) for row in conn.execute(query).mappings()]


def of_person(conn: Connection, user: str, most: int) -> tuple[dict[str, int], list[str]]:
    """How much a person said, by kind, and ``most`` ids of it. Reads the whole table."""
    theirs = feedback.c.user == user
    query = select(feedback.c.kind, func.count().label("n")).where(theirs).group_by(feedback.c.kind)
    counts = {row.kind: row.n for row in conn.execute(query.order_by(feedback.c.kind))}
    first = select(feedback.c.id).where(theirs).order_by(feedback.c.seq).limit(most) if counts else None
    return counts, [] if first is None else list(conn.scalars(first))


def get(conn: Connection, feedback_id: str) -> Feedback | None:
    row = conn.execute(select(feedback).where(feedback.c.id == feedback_id)).mappings().first()
    return feedback_of(row) if row else None


def watermark(conn: Connection) -> int:
    """The highest ``seq``; 0 when there is none."""
    return conn.scalar(select(func.max(feedback.c.seq))) or 0


def count_by_kind(conn: Connection) -> dict[str, int]:
    query = select(feedback.c.kind, func.count().label("n")).group_by(feedback.c.kind)
    return {row.kind: row.n for row in conn.execute(query)}


def withdraw_text(conn: Connection, exchange_ids: Collection[str], episodes: Collection[str]) -> None:
    """Takes the text out of what is stored about these exchanges, and about these episodes as a whole."""
    found = [*find(conn, _ABOUT_EXCHANGES, exchange_ids), *find(conn, _ABOUT_EPISODES, episodes)]
    if found:  # which is rare: feedback mostly comes later
        query = select(feedback).where(feedback.c.seq.in_([seq for (seq,) in found]))
        erase(conn, {row["seq"]: feedback_of(row) for row in conn.execute(query).mappings()})


def erase(conn: Connection, rows: Mapping[int, Feedback], *, expired: bool = False) -> None:
    """Takes the text out of stored feedback, by ``seq``; ``expired`` says that it was time."""
    kept = {seq: textless_feedback(row) for seq, row in rows.items()}
    changed = [
        {"at_seq": seq, "value": row.value, "comment": None, "metadata": row.metadata, "expired": expired}
        for seq, row in kept.items()
        if expired or row != rows[seq]
    ]
    if changed:
        conn.execute(feedback.update().where(feedback.c.seq == bindparam("at_seq")), changed)


def feedback_of(row: Mapping[Any, Any]) -> Feedback:
    """Of a row's columns by name."""
    return Feedback(**{name: row[name] for name in _FIELDS})
