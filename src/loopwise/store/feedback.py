"""Feedback in order of arrival. Append-only: what supersedes what is decided when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, RowMapping, func, select

from loopwise.store.inserts import insert_new
from loopwise.store.schema import feedback
from loopwise.types import Feedback


def add(conn: Connection, rows: Sequence[Feedback]) -> None:
    """Adds feedback; the same id twice is one feedback, the first."""
    insert_new(conn, feedback, [vars(row) for row in rows])


def up_to(conn: Connection, watermark: int) -> Iterator[tuple[int, Feedback]]:
    """(seq, feedback) for all with ``seq <= watermark``, in order."""
    query = select(feedback).where(feedback.c.seq <= watermark).order_by(feedback.c.seq)
    for row in conn.execute(query).mappings():
        yield row["seq"], _feedback(row)


def of_exchange(conn: Connection, exchange_id: str) -> list[Feedback]:
    query = select(feedback).where(feedback.c.exchange_id == exchange_id).order_by(feedback.c.seq)
    return [_feedback(row) for row in conn.execute(query).mappings()]


def get(conn: Connection, feedback_id: str) -> Feedback | None:
    row = conn.execute(select(feedback).where(feedback.c.id == feedback_id)).mappings().first()
    return _feedback(row) if row else None


def watermark(conn: Connection) -> int:
    """The highest ``seq``; 0 when there is none."""
    return conn.scalar(select(func.max(feedback.c.seq))) or 0


def count_by_kind(conn: Connection) -> dict[str, int]:
    query = select(feedback.c.kind, func.count().label("n")).group_by(feedback.c.kind)
    return {row.kind: row.n for row in conn.execute(query)}


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(**{key: value for key, value in row.items() if key != "seq"})
