"""Ids of exchanges that went with a forgotten person: whoever names one later is told so."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from loopwise.errors import ForgottenError
from loopwise.store.lookups import find

_FORGOTTEN = "SELECT id FROM forgotten WHERE id IN ({marks})"


def among(conn: Connection, ids: Collection[str]) -> frozenset[str]:
    """Which of ``ids`` are forgotten exchanges'."""
    return frozenset(found for (found,) in find(conn, _FORGOTTEN, ids))


def refuse(conn: Connection, ids: Collection[str]) -> None:
    """Raises ForgottenError, which holds all of ``ids`` that are forgotten exchanges', if there is one."""
    gone = among(conn, ids)
    if gone:
        raise ForgottenError(gone)
