"""Reading much: many values looked up in one statement, and rows that stream past."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection

STREAMED = {"yield_per": 200}  # rows in memory at a time, on the server's side of a connection too
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")  # of surrogates, which is no text
_HALF_PAIR_OR_NUL = re.compile(r"[\0\ud800-\udfff]")
_AT_ONCE = 5_000  # values in a statement; SQLite takes 32,766


def find(conn: Connection, statement: str, values: Collection[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of ``statement`` for ``values``, which stand where it has ``{marks}``: ``IN ({marks})``, or
    ``VALUES {rows}`` for a row each. What the database cannot hold is not there."""
    sqlite = conn.dialect.name == "sqlite"
    mark = "?" if sqlite else "%s"
    unheld = _HALF_PAIR if sqlite else _HALF_PAIR_OR_NUL
    left = iter([value for value in values if not unheld.search(str(value))])
    while some := tuple(islice(left, _AT_ONCE)):
        marks, rows = ", ".join([mark] * len(some)), ", ".join([f"({mark})"] * len(some))
        yield from map(tuple, conn.exec_driver_sql(statement.format(marks=marks, rows=rows), some))
