"""How each database is opened so that it keeps the store's promises: durable commits, one writer, bounded waits.

SQLite runs in WAL mode with ``synchronous=FULL``: what is committed survives a power cut. Readers see a snapshot and
never block the writer; a writer takes the write lock when its transaction begins (``BEGIN IMMEDIATE``), so that two
writers wait for each other instead of failing half way. Postgres is made to behave in the same way: a reader's
transaction is REPEATABLE READ, and a writer takes an advisory lock first. Without that lock a ``seq`` could be
committed after a higher one, and a watermark taken in between would lose its row.
"""

from __future__ import annotations

import re
import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from loopwise.errors import SettingsError, StoreError, missing_extra

if TYPE_CHECKING:
    import psycopg

_BEGIN = "loopwise_begin"  # how a connection's transactions begin: one of the three below
_FILE = "loopwise_file"  # the inode that a connection has open
_READ, _WRITE, _NOT = "to read", "to write", "not at all"
_WITH_TEXT = ("exchanges", "feedback", "attempts", "quarantine")
_READERS_MAY_TAKE_MS = 50  # the log is emptied under the write lock
_WRITE_LOCK = int.from_bytes(b"loopwise")  # the advisory lock's number, in each database for itself
_CONNECT_TIMEOUT_S = 10
# SQLite's own numbers (4 MB of log, 2 MB of cache) have a busy writer copy and reread the same pages again and again.
_LOG_PAGES = 4_000  # of 4 kB, after which a commit copies the log into the file
_CACHE_KB = 16_000
_EXAMPLES = "sqlite:///loopwise.db or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
_DEAD_AFTER_S = 30  # a client whose machine is gone must not hold the write lock for hours


def address(url: str, root: Path) -> URL:
    """The address of ``[store] url``, a relative path taken from ``root``. Raises SettingsError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise SettingsError(
            f"[store] url = {_without_password(url)!r} is not a database address; write {_EXAMPLES}."
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(
            f"[store] url = {parsed.render_as_string()!r} names a database that Loopwise does not know; write "
            f"{_EXAMPLES}."
        )
    if not is_sqlite(parsed):
        return parsed
    if parsed.database in (None, "", ":memory:") or parsed.query:
        raise SettingsError(f"[store] url = {url!r} names no file, and a store has to last; write {_EXAMPLES}.")
    if not Path(str(parsed.database)).is_absolute():
        parsed = parsed.set(database=str((root / str(parsed.database)).resolve()))
    return parsed


def _without_password(url: str) -> str:
    """Of an address that cannot be read as one, and may hold a password all the same."""
    return re.sub(r":[^:/]*@", ":***@", url)


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def open_engine(url: URL, lock_timeout_s: float) -> Engine:
    """Raises MissingExtraError where Postgres' driver is not installed; connects to nothing yet. The text of errors
    holds no parameters, which are what people wrote."""
    if is_sqlite(url):
        engine = create_engine(
            url, hide_parameters=True, connect_args={"timeout": lock_timeout_s, "check_same_thread": False}
        )
        event.listen(engine, "connect", partial(_configure_sqlite, Path(str(url.database)), lock_timeout_s))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    waits = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_TIMEOUT_S}
    try:
        engine = create_engine(
            url, hide_parameters=True, pool_pre_ping=True, pool_timeout=lock_timeout_s, connect_args=waits
        )
    except ModuleNotFoundError as error:
        raise missing_extra("psycopg", "postgres") from error
    event.listen(engine, "connect", partial(_configure_postgres, lock_timeout_s))
    event.listen(engine, "begin", _begin_postgres)
    return engine


def reading(engine: Engine) -> Connection:
    """A connection whose transactions see one snapshot."""
    conn = engine.connect()
    if is_sqlite(engine.url):
        return conn
    return conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Connection:
    """A connection whose transactions begin with the write lock."""
    return engine.connect().execution_options(**{_BEGIN: _WRITE})


def wipe(engine: Engine) -> bool:
    """Empties SQLite's log, whose frames hold what pages held before; on Postgres, lets go of dead rows."""
    if not is_sqlite(engine.url):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for table in _WITH_TEXT:
                conn.exec_driver_sql(f"VACUUM (SKIP_LOCKED, TRUNCATE FALSE) {table}")  # neither waits nor locks out
        return True
    with engine.connect().execution_options(**{_BEGIN: _NOT}) as conn:
        patience_ms = conn.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        conn.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")  # most of the work, while others write
        conn.exec_driver_sql(f"PRAGMA busy_timeout={_READERS_MAY_TAKE_MS}")
        try:
            blocked, _, _ = conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        finally:
            conn.exec_driver_sql(f"PRAGMA busy_timeout={patience_ms}")
    return not blocked


def _begins(conn: Connection) -> str:
    return conn.get_execution_options().get(_BEGIN, _READ)


def _configure_sqlite(
    path: Path, lock_timeout_s: float, connection: sqlite3.Connection, entry: ConnectionPoolEntry
) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late to take the lock
    for pragma in (
        f"busy_timeout={int(lock_timeout_s * 1000)}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={_LOG_PAGES}",
        f"cache_size={-_CACHE_KB}",  # below zero it is in kB
        "secure_delete=ON",  # text that expires leaves the file; FAST would leave copies where pages were merged
    ):
        connection.execute(f"PRAGMA {pragma}")
    entry.info[_FILE] = path.stat().st_ino


def _begin_sqlite(conn: Connection) -> None:
    if _begins(conn) == _WRITE:
        _require_same_file(conn)
    if _begins(conn) != _NOT:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if _begins(conn) == _WRITE else "BEGIN")


def _require_same_file(conn: Connection) -> None:
    """What is written to a file that was removed or replaced would be gone with this process."""
    path = Path(str(conn.engine.url.database))
    there = path.stat().st_ino if path.exists() else None
    if there == conn.info[_FILE]:
        return
    if there is not None:
        conn.invalidate()  # the next transaction is of the file that is there now
    raise StoreError(f"The store's file {path} was moved, removed or replaced while it was in use: put it back.")


def _configure_postgres(lock_timeout_s: float, connection: psycopg.Connection, _: ConnectionPoolEntry) -> None:
    wanted = {
        "lock_timeout": f"{max(1, int(lock_timeout_s * 1000))}ms",
        "tcp_keepalives_idle": f"{_DEAD_AFTER_S}s",
        "tcp_user_timeout": f"{_DEAD_AFTER_S}s",
    }
    for name, value in wanted.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    # A role or database may have been set to acknowledge what is not on disk; anything stricter is left alone.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _begin_postgres(conn: Connection) -> None:
    if _begins(conn) == _WRITE:
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
