"""The one statement that SQLite and Postgres spell apart: insert the rows that are not there yet."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from loopwise.types import JsonObject


def insert_new(conn: Connection, table: Table, rows: Sequence[JsonObject]) -> None:
    """Inserts ``rows``; one whose unique key is taken already is left out, so doing it twice changes nothing."""
    if rows:
        dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
        conn.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
