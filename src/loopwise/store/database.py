"""The store's life: open, check the version, hand out connections."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Transaction
from sqlalchemy.exc import DBAPIError, TimeoutError as NoConnectionFree

from loopwise.errors import StoreError
from loopwise.store import engines, failures
from loopwise.store.blobs import Blobs

LOCK_TIMEOUT_S = 15.0


class Store:
    """An open store. ``root`` is the project folder, in which a relative SQLite path and the blobs lie.
    ``lock_timeout_s`` is how long a writer waits for another one.

    Raises SettingsError for an address that is none, MissingExtraError where the driver of Postgres is not installed,
    and StoreError when the store is missing, unreachable, locked, no database, unwritable, or of a newer version.
    """

    def __init__(self, url: str, root: Path, *, create: bool = False, lock_timeout_s: float = LOCK_TIMEOUT_S):
        self.root = root
        parsed = engines.address(url, root)
        self.url = parsed.render_as_string(hide_password=False)
        self.blobs = Blobs(root / "blobs")
        self.engine = engines.open_engine(parsed, lock_timeout_s)
        with self.classified():
            self._open(create)

    def _open(self, create: bool) -> None:
        database = self.engine.url.database
        if engines.is_sqlite(self.engine.url) and database and not create and not Path(database).exists():
            raise StoreError(
                f"There is no store at {database}: run 'loopwise init' there first, or name another --dir."
            )
        migrations = _migrations(self.engine)
        head = ScriptDirectory.from_config(migrations).get_current_head()
        with self.engine.connect() as conn:
            current = MigrationContext.configure(conn).get_current_revision()
        if current is None and not create:
            raise StoreError(f"There is no store in {self.shown_url} yet: run 'loopwise init' first.")
        known = {script.revision for script in ScriptDirectory.from_config(migrations).walk_revisions()}
        if current is not None and current not in known:
            raise StoreError(
                f"The store {self.shown_url} has version {current!r}, newer than this Loopwise knows ({head!r}): "
                "upgrade Loopwise, or open a backup made with this version."
            )
        if current != head:
            with self.writing() as conn:  # two processes that start together upgrade one after the other
                migrations.attributes["connection"] = conn
                command.upgrade(migrations, "head")

    @property
    def shown_url(self) -> str:
        """The address as people may see it, without a password."""
        return failures.shown(self.url)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection that sees one snapshot."""
        with self.classified(), engines.reading(self.engine) as conn, conn.begin():
            yield conn

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """One transaction with the write lock; committed to disk when the block ends, rolled back when it raises."""
        with self.classified(), engines.writing(self.engine) as conn, conn.begin():
            yield conn

    def wipe(self) -> bool:
        """Takes what was deleted or overwritten out of the database's files as well. False while a reader of an old
        state is in the way: try again later."""
        with self.classified():
            return engines.wipe(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def classified(self) -> Generator[None]:
        """Names what the database raises: StoreError."""
        try:
            yield
        except (DBAPIError, NoConnectionFree) as error:
            raise failures.store_error(error, self.url) from error


class HeldConnection:
    """A connection that one thread keeps for many transactions: to get one from the pool costs as much as a small
    write. After a failure the next transaction gets a new one."""

    def __init__(self, store: Store):
        self._store = store
        self._conn: Connection | None = None

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """As ``Store.writing``."""
        committed = False
        try:
            with self._store.classified():
                conn, transaction = self._begin()
                with transaction:
                    yield conn
            committed = True
        finally:
            if not committed:
                self.close()

    def _begin(self) -> tuple[Connection, Transaction]:
        if self._conn is not None:
            try:
                return self._conn, self._conn.begin()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self.close()  # the server was restarted meanwhile; nothing had been sent to it yet
        self._conn = engines.writing(self._store.engine)
        return self._conn, self._conn.begin()

    def close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


def _migrations(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config
