"""The store's life: open, check the version, hand out connections.

SQLite runs in WAL mode with ``synchronous=FULL``: what is committed survives a power cut. Readers see a snapshot and
never block the writer; a writer takes the write lock when its transaction begins (``BEGIN IMMEDIATE``), so that two
writers wait for each other instead of failing half way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from loopwise.errors import SettingsError, StoreError
from loopwise.store.blobs import Blobs

LOCK_TIMEOUT_S = 15.0


class Store:
    """An open store. ``root`` is the project folder, in which a relative SQLite path and the blobs lie.

    Raises StoreError when the file is missing, locked, no database, unwritable, or of a newer version.
    """

    def __init__(self, url: str, root: Path, *, create: bool = False):
        self.root = root
        self.url = _absolute(url, root)
        self.blobs = Blobs(root / "blobs")
        self._engine = _engine(self.url)
        with self._classified():
            self._open(create)

    def _open(self, create: bool) -> None:
        database = self._engine.url.database
        if self._engine.dialect.name == "sqlite" and database and not create and not Path(database).exists():
            raise StoreError(
                f"There is no store at {database}: run 'loopwise init' there first, or name another --dir."
            )
        migrations = _migrations(self._engine)
        head = ScriptDirectory.from_config(migrations).get_current_head()
        with self._engine.connect() as conn:
            current = MigrationContext.configure(conn).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(migrations).walk_revisions()}
        if current is not None and current not in known:
            raise StoreError(
                f"The store {self.shown_url} has version {current!r}, newer than this Loopwise knows ({head!r}): "
                "upgrade Loopwise, or open a backup made with this version."
            )
        if current != head:
            with self._engine.begin() as conn:
                migrations.attributes["connection"] = conn
                command.upgrade(migrations, "head")

    @property
    def shown_url(self) -> str:
        """The address as people may see it, without a password."""
        return make_url(self.url).render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection that sees one snapshot."""
        with self._classified(), self._engine.connect() as conn, conn.begin():
            yield conn

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """One transaction with the write lock; committed to disk when the block ends, rolled back when it raises."""
        with self._classified(), self._engine.connect().execution_options(loopwise_write=True) as conn, conn.begin():
            yield conn

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _classified(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _store_error(error, self.url) from error


def _absolute(url: str, root: Path) -> str:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError(
            f"[store] url = {url!r} is not a database address; write sqlite:///loopwise.db or postgresql+psycopg://…"
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).is_absolute():
        parsed = parsed.set(database=str((root / parsed.database).resolve()))
    return parsed.render_as_string(hide_password=False)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        try:
            return create_engine(url)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            masked = make_url(url).render_as_string(hide_password=True)
            raise SettingsError(
                f"[store] url = {masked!r} needs a database driver that is not installed ({error}): install it, or use "
                "sqlite:///loopwise.db."
            ) from error
    engine = create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late to take the lock
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(LOCK_TIMEOUT_S * 1000)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(conn: Connection) -> None:
    write = conn.get_execution_options().get("loopwise_write", False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _migrations(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config


def _store_error(error: DBAPIError, url: str) -> StoreError:
    """Names the few ways in which a database fails for a reason outside Loopwise."""
    where = make_url(url).render_as_string(hide_password=True)
    text = str(error.orig)
    ways_out: dict[str, Any] = {
        "database is locked": "another process holds its write lock; stop it, or wait and try again",
        "not a database": "the file is damaged or is no SQLite file; restore a backup or name another [store] url",
        "malformed": "the file is damaged; restore a backup, or save what is readable with 'sqlite3 FILE .recover'",
        "readonly": "the file or its folder cannot be written; change its permissions or its place",
        "unable to open": "its folder is missing or cannot be written; create it or change [store] url",
        "disk is full": "the disk is full; free some space and try again",
    }
    for sign, way_out in ways_out.items():
        if sign in text:
            return StoreError(f"The store {where} cannot be used ({text}): {way_out}.")
    return StoreError(f"The store {where} refused a statement: {text}.")
