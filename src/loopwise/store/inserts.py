"""Inserting the rows that are not there yet; and, for exchanges and feedback, at the speed of the driver.

SQLAlchemy looks at every value of a statement; where thousands of rows arrive each second that is most of what a row
costs. So the statement of a record type is written once, and rows go to the driver as tuples, JSON as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import JSON, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError

from loopwise.errors import UnstorableError
from loopwise.types import Exchange, Feedback, JsonObject

Record = Exchange | Feedback
Values = tuple[Any, ...]
# What encoding a row raises: objects that are no JSON, lone surrogates, integers of more than 64 bits, deep nesting.
_UNSTORABLE = (TypeError, ValueError, OverflowError, RecursionError, DataError)
# Outside ASCII escapes are written: they hold what no database's text can, such as NUL in Postgres.
_to_json = json.JSONEncoder(separators=(",", ":")).encode
_to_strict_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # Postgres knows no NaN in JSON


def insert_new(conn: Connection, table: Table, rows: Sequence[JsonObject]) -> None:
    """Inserts ``rows``; one whose unique key is taken already is left out, so doing it twice changes nothing."""
    if rows:
        dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
        conn.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


@dataclass(frozen=True)
class _Plan:
    statement: str
    row: Callable[[Record], Values]


def insert_records(conn: Connection, table: Table, records: Sequence[Record], names: tuple[str, ...]) -> None:
    """Inserts the fields ``names`` of ``records``, as ``insert_new`` does. Raises UnstorableError, which names the row
    that the database cannot hold."""
    if not records:
        return
    plan = _plan(table, conn.dialect.name, names)
    try:
        conn.exec_driver_sql(plan.statement, list(map(plan.row, records)))
    except _UNSTORABLE as error:
        why = str(error.orig if isinstance(error, DataError) else error).partition("\n")[0]
        ids = ", ".join(repr(record.id) for record in _guilty(records, plan, conn.dialect.name))
        which = "One of the rows" if "," in ids else "The row"
        raise UnstorableError(f"{which} {ids} cannot be stored ({why}): correct its values.") from error


@cache
def _plan(table: Table, dialect: str, names: tuple[str, ...]) -> _Plan:
    in_json = [name for name in names if isinstance(table.c[name].type, JSON)]
    plain = [name for name in names if name not in in_json]
    columns = ", ".join(f'"{name}"' for name in (*in_json, *plain))
    mark = "?" if dialect == "sqlite" else "%s"
    marks = ", ".join([mark] * len(names))
    statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING'
    encode = _to_json if dialect == "sqlite" else _to_strict_json
    json_values, plain_values = _getter(in_json), attrgetter(*plain)
    return _Plan(statement, lambda record: (*map(encode, json_values(record)), *plain_values(record)))


def _getter(names: list[str]) -> Callable[[Record], Values]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: (vars(record)[names[0]],)


def _guilty(records: Sequence[Record], plan: _Plan, dialect: str) -> Sequence[Record]:
    """The first record that cannot be stored; where that cannot be told from here, the first few."""
    for record in records:
        try:
            texts = [value for value in plan.row(record) if isinstance(value, str)]
            "".join(texts).encode()
        except _UNSTORABLE:
            return [record]
        if dialect != "sqlite" and any("\0" in text for text in texts):
            return [record]
    return records[:3]
