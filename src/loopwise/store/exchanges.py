"""Exchanges in order of arrival."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, func, select

from loopwise.store.inserts import insert_new
from loopwise.store.schema import exchanges
from loopwise.types import Exchange


def add(conn: Connection, rows: Sequence[Exchange]) -> None:
    """Adds exchanges; an id that is known already is left as it is."""
    insert_new(conn, exchanges, [vars(row) for row in rows])


def get(conn: Connection, exchange_id: str) -> Exchange | None:
    row = conn.execute(select(exchanges).where(exchanges.c.id == exchange_id)).mappings().first()
    return _exchange(row) if row else None


def known(conn: Connection, ids: Collection[str]) -> set[str]:
    """Which of ``ids`` are stored."""
    if not ids:
        return set()
    return set(conn.scalars(select(exchanges.c.id).where(exchanges.c.id.in_(ids))))


def latest_of_conversations(conn: Connection, hashes: Collection[int]) -> dict[int, tuple[str, float]]:
    """(id, at) of the latest exchange of each conversation that is there."""
    return _latest(conn, exchanges.c.conversation, hashes)


def latest_of_episodes(conn: Connection, episodes: Collection[str]) -> dict[str, tuple[str, float]]:
    """(id, at) of the latest exchange of each episode that is there."""
    return _latest(conn, exchanges.c.episode, episodes)


def upstream_id(conn: Connection, exchange_id: str) -> tuple[str, str | None] | None:
    """The model that was asked for, and what its server calls the answer; None for an unknown exchange."""
    row = conn.execute(select(exchanges.c.model, exchanges.c.upstream_id).where(exchanges.c.id == exchange_id)).first()
    return (row.model, row.upstream_id) if row else None


def _latest(conn: Connection, column: Column[Any], values: Collection[Any]) -> dict[Any, tuple[str, float]]:
    if not values:
        return {}
    last = select(func.max(exchanges.c.seq)).where(column.in_(values)).group_by(column)
    query = select(column, exchanges.c.id, exchanges.c.at).where(exchanges.c.seq.in_(last))
    return {row[0]: (row.id, row.at) for row in conn.execute(query)}


def up_to(conn: Connection, watermark: int) -> Iterator[tuple[int, Exchange]]:
    """(seq, exchange) for all with ``seq <= watermark``, in order."""
    query = select(exchanges).where(exchanges.c.seq <= watermark).order_by(exchanges.c.seq)
    for row in conn.execute(query).mappings():
        yield row["seq"], _exchange(row)


def watermark(conn: Connection) -> int:
    """The highest ``seq``; 0 when there is none."""
    return conn.scalar(select(func.max(exchanges.c.seq))) or 0


def count(conn: Connection) -> int:
    return conn.scalar(select(func.count()).select_from(exchanges)) or 0


def count_by_release(conn: Connection) -> dict[str, int]:
    query = select(exchanges.c.release, func.count().label("n")).group_by(exchanges.c.release)
    return {row.release: row.n for row in conn.execute(query)}


def _exchange(row: RowMapping) -> Exchange:
    return Exchange(**{key: value for key, value in row.items() if key != "seq"})
