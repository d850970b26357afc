"""The ways in which a database fails for a reason outside Loopwise, each with its way out: classified here, once.

Only the first line of what a database says is passed on: the others may quote a row, and with it what people wrote.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sqlalchemy import make_url
from sqlalchemy.exc import DataError, DBAPIError, TimeoutError as NoConnectionFree

from loopwise.errors import StoreError, UnstorableError

_LOCKED = "another process holds its write lock; stop it, or wait and try again"
_FULL = "the disk is full; free some space and try again"
_BROKEN_DISK = "its disk or file system failed; check it, and restore a backup where the data are damaged"
_STOPPED = "the server stopped or restarts; what was under way is undone, and the next try connects anew"

_SQLITE: dict[str, str] = {
    "database is locked": _LOCKED,
    "not a database": "the file is damaged or is no SQLite file; restore a backup or name another [store] url",
    "malformed": "the file is damaged; restore a backup, or save what is readable with 'sqlite3 FILE .recover'",
    "readonly": "the file or its folder cannot be written; change its permissions or its place",
    "unable to open": "its folder is missing or cannot be written; create it or change [store] url",
    "is full": _FULL,
    "disk I/O error": _BROKEN_DISK,
}

# By SQLSTATE, or the class that its first two digits are; see the appendix "Error Codes" of Postgres' manual.
_POSTGRES: dict[str, str] = {
    "08": _STOPPED,
    "57P01": _STOPPED,
    "57P02": _STOPPED,
    "57P03": _STOPPED,
    "55P03": _LOCKED,
    "57014": "a statement was canceled or took longer than the server's statement_timeout; raise that, or try again",
    "40": "another transaction was in the way; try again",
    "25006": "the server is read-only, perhaps a standby; name its primary in [store] url",
    "28": "the server refused the user or the password; correct them in [store] url",
    "3D000": "the server has no such database; create it, or correct its name in [store] url",
    "42501": "the user lacks a privilege; grant it, or name another user in [store] url",
    "53100": _FULL,
    "53300": "the server has no connection left; raise its max_connections, or stop what holds them",
    "53": "the server lacks memory or another resource; give it more, and try again",
    "58030": _BROKEN_DISK,
    "XX001": "the server found damaged data; restore a backup",
    "XX002": "the server found a damaged index; run REINDEX",
}

# A connection that never came about has no SQLSTATE, only libpq's words.
_CONNECTING: dict[str, str] = {
    "refused": "no server listens there; start it, or correct host and port in [store] url",
    "No such file or directory": "no server listens there; start it, or correct host and port in [store] url",
    "could not be resolved": "no such host is known; correct it in [store] url",
    "could not translate host": "no such host is known; correct it in [store] url",
    "failed to resolve host": "no such host is known; correct it in [store] url",
    "authentication failed": _POSTGRES["28"],
    "password": "the server wants a password; write it into [store] url, or into libpq's password file",
    "pg_hba.conf": "the server lets nobody in from here; allow it in pg_hba.conf",
    "role": _POSTGRES["28"],
    "database": _POSTGRES["3D000"],
    "timeout": "the server did not answer in time; check host, port and network",
    "too many": _POSTGRES["53300"],
    "remaining connection slots": _POSTGRES["53300"],
}
_GONE = ("closed", "lost", "terminat", "starting up", "shutting down", "consuming input failed", "no connection to")


@runtime_checkable
class _Coded(Protocol):
    """An error of psycopg, which need not be installed."""

    sqlstate: str | None


def shown(url: str) -> str:
    """The address as people may see it, without a password."""
    return make_url(url).render_as_string(hide_password=True)


def store_error(error: DBAPIError | NoConnectionFree, url: str) -> StoreError:
    """The sentence for ``error`` of the store at ``url``."""
    if isinstance(error, NoConnectionFree):
        return StoreError(f"The store {shown(url)} cannot be used: all its connections are taken; try again.")
    text = _first_line(str(error.orig), url)
    code = _sqlstate(error)
    if isinstance(error, DataError) or code.startswith(("22", "54")):
        return UnstorableError(f"The store {shown(url)} cannot hold a row ({text}): correct its values.")
    way_out = _way_out(text, code) if make_url(url).get_backend_name() == "postgresql" else _by_sign(_SQLITE, text)
    if way_out is None:
        return StoreError(f"The store {shown(url)} refused a statement: {text}.")
    return StoreError(f"The store {shown(url)} cannot be used ({text}): {way_out}.")


def _way_out(text: str, code: str) -> str | None:
    if code:
        return _POSTGRES.get(code) or _POSTGRES.get(code[:2])
    if any(sign in text for sign in _GONE):
        return _STOPPED
    return _by_sign(_CONNECTING, text)


def _by_sign(ways_out: dict[str, str], text: str) -> str | None:
    return next((way_out for sign, way_out in ways_out.items() if sign in text), None)


def _sqlstate(error: DBAPIError) -> str:
    """Five characters; empty for SQLite, and where a connection never came about."""
    return error.orig.sqlstate or "" if isinstance(error.orig, _Coded) else ""


def _first_line(text: str, url: str) -> str:
    line = text.strip().partition("\n")[0].rstrip(".")
    password = make_url(url).password
    return line.replace(str(password), "***") if password else line
