"""Exchanges in order of arrival."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from loopwise.store import feedback
from loopwise.store.consent import text_kept
from loopwise.store.inserts import insert_records
from loopwise.store.lookups import STREAMED, find
from loopwise.store.schema import exchanges
from loopwise.types import Exchange

Told = tuple[int, list[str]]  # a count, and the first few ids
_FIELDS = tuple(field.name for field in fields(Exchange))
# The latest of each by a step into an index, however many exchanges an episode has. Embeddings are no turn of it.
_LATEST = """
WITH wanted(value) AS (VALUES {{rows}})
SELECT {column}, id, at FROM exchanges WHERE seq IN (
  SELECT (
    SELECT seq FROM exchanges WHERE {column} = wanted.value AND endpoint <> 'embeddings' ORDER BY seq DESC LIMIT 1
  ) FROM wanted
)"""


def add(conn: Connection, rows: Sequence[Exchange]) -> None:
    """Adds exchanges. An id that is stored already, or stood earlier in ``rows``, is left as it is, and so is what was
    said about it; feedback that came before a new exchange with ``store`` False loses its text. Raises
    UnstorableError, which names the row."""
    some_withheld = not all(row.store for row in rows)
    withheld = [row for row in new_among(conn, rows) if not row.store] if some_withheld else []
    insert_records(conn, exchanges, rows, _FIELDS)
    if withheld:
        feedback.withdraw_text(conn, [row.id for row in withheld], {row.episode for row in withheld if row.episode})


def get(conn: Connection, exchange_id: str) -> Exchange | None:
    row = conn.execute(select(exchanges).where(exchanges.c.id == exchange_id)).mappings().first()
    return _exchange(row) if row else None


def new_among(conn: Connection, rows: Sequence[Exchange]) -> list[Exchange]:
    """Those of ``rows`` that ``add`` would add: not stored yet, and of each id the first."""
    first = {row.id: row for row in reversed(rows)}
    stored = known(conn, first)
    return [row for row in rows if first[row.id] is row and row.id not in stored]


def known(conn: Connection, ids: Collection[str]) -> set[str]:
    """Which of ``ids`` are stored."""
    return set(text_kept(conn, ids))


def latest_of_conversations(conn: Connection, hashes: Collection[int]) -> dict[int, tuple[str, float]]:
    """(id, at) of the latest exchange of each conversation that is there."""
    return _latest(conn, "conversation", hashes)


def latest_of_episodes(conn: Connection, episodes: Collection[str]) -> dict[str, tuple[str, float]]:
    """(id, at) of the latest exchange of each episode that is there."""
    return _latest(conn, "episode", episodes)


def up_to(conn: Connection, watermark: int) -> Iterator[tuple[int, Exchange]]:
    """(seq, exchange) for all with ``seq <= watermark``, in order, a few at a time."""
    query = select(exchanges).where(exchanges.c.seq <= watermark).order_by(exchanges.c.seq)
    for row in conn.execute(query, execution_options=STREAMED).mappings():
        yield row["seq"], _exchange(row)


def watermark(conn: Connection) -> int:
    """The highest ``seq``; 0 when there is none."""
    return conn.scalar(select(func.max(exchanges.c.seq))) or 0


def count(conn: Connection) -> int:
    return conn.scalar(select(func.count()).select_from(exchanges)) or 0


def count_by_release(conn: Connection) -> dict[str, int]:
    query = select(exchanges.c.release, func.count().label("n")).group_by(exchanges.c.release)
    return {row.release: row.n for row in conn.execute(query)}


def first_of(conn: Connection, most: int | None, *, user: str | None = None, release: str | None = None) -> Told:
    """How many exchanges a person had, or a release answered, and ``most`` of their ids (None: all)."""
    whose = exchanges.c.user == user if user is not None else exchanges.c.release == release
    n = conn.scalar(select(func.count()).select_from(exchanges).where(whose)) or 0
    return n, list(conn.scalars(select(exchanges.c.id).where(whose).limit(most)))


def _latest(conn: Connection, column: str, values: Collection[Any]) -> dict[Any, tuple[str, float]]:
    return {value: (found, at) for value, found, at in find(conn, _LATEST.format(column=column), values)}


def _exchange(row: RowMapping) -> Exchange:
    return Exchange(**{name: row[name] for name in _FIELDS})
