"""A real Postgres for the tests: private, on a free port of loopback, started when the first test asks for it.

Postgres refuses to run as root, so root starts it as an ordinary user. Where it is not installed, its tests say so and
are skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

from loopwise.store import Store

USER, PASSWORD = "loopwise", "hunter2"
_names = count()


@dataclass
class Postgres:
    """A running server. It acknowledges before it syncs: the tests kill processes, not the machine."""

    binaries: Path
    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def url(self) -> URL:
        return URL.create("postgresql+psycopg", USER, PASSWORD, "127.0.0.1", self.port, "postgres")

    def start(self) -> None:
        settings = {"fsync": "off", "max_connections": "60", "unix_socket_directories": "", **self.settings}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", f"-p {self.port} -h 127.0.0.1 {options}", "start")

    def stop(self) -> None:
        """At once, as a crash would."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def database(self, on: Path | None = None, like: str = "template1") -> str:
        """The address of a new database, empty or a copy of another; its files lie in the folder ``on``, if given."""
        name = f"loopwise_{next(_names)}"
        if on:
            self._sql(f"CREATE TABLESPACE {name} LOCATION '{on}'")
        self._sql(f"CREATE DATABASE {name} TEMPLATE {like}" + (f" TABLESPACE {name}" if on else ""))
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        name = make_url(url).database
        self._sql(f"DROP DATABASE {name} WITH (FORCE)")
        self._sql(f"DROP TABLESPACE IF EXISTS {name}")

    def make(self) -> None:
        """Sorts by the rules of a language, as most servers do, so that no test leans on the order of bytes."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        language = ("--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8", "--encoding=UTF8")
        access = ("--auth=scram-sha-256", f"--pwfile={password}", f"--username={USER}")
        self._run("initdb", *language, *access, "--no-sync")

    def _sql(self, statement: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.exec_driver_sql(statement)
        engine.dispose()

    def _run(self, program: str, *arguments: str | Path) -> None:
        environment = {**os.environ, "PGDATA": str(self.folder / "data"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [self.binaries / program, *arguments],
            env=environment, cwd=self.folder, user=ordinary_user(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{program}: {done.stderr}{log.read_text() if log.exists() else ''}")


def ordinary_user() -> str | None:
    """Whom root runs the server as; None: whoever runs the tests."""
    if os.getuid():
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def binaries() -> Path | None:
    """The folder with the newest server's programs. ``initdb`` on the path may be a link into it."""
    folders = [Path(found).resolve().parent for name in ("initdb",) if (found := shutil.which(name))]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in folders if {"initdb", "pg_ctl", "postgres"} <= set(os.listdir(folder))), None)


def started(folder: Path, **settings: str) -> Postgres:
    """A new server whose files lie in ``folder``. Skips the test where Postgres is not installed."""
    found = binaries()
    if found is None:
        pytest.skip("Postgres is not installed on this machine: install it (apt-get install postgresql).")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Postgres(found, folder, port, settings)
    if user := ordinary_user():
        shutil.chown(folder, user)
    server.make()
    server.start()
    return server


@contextmanager
def ended_with_the_tests(server: Postgres) -> Iterator[None]:
    """Stops the server even when the tests are killed: then the pipe closes on which somebody waits to stop it."""
    stop = f"cat; {server.binaries}/pg_ctl -D {server.folder}/data -m immediate stop"
    command = ["sh", "-c", stop]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=quiet,
        stderr=quiet,
        cwd="/",
        user=ordinary_user(),
        start_new_session=True,
    ):
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server that all tests share."""
    with tempfile.TemporaryDirectory(prefix="loopwise-postgres-") as folder:
        server = started(Path(folder))
        with ended_with_the_tests(server):
            yield server


@pytest.fixture(scope="session")
def postgres_store(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with the tables of a store: to copy it is faster than to make them."""
    url = postgres.database()
    Store(url, tmp_path_factory.getbasetemp(), create=True).close()
    return str(make_url(url).database)


@pytest.fixture
def postgres_database(postgres: Postgres) -> Iterator[Callable[..., str]]:
    """Makes databases, empty or like another; they go when the test ends."""
    made: list[str] = []

    def make(**like: str) -> str:
        made.append(postgres.database(**like))
        return made[-1]

    yield make
    for url in made:
        postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The address of a store that is yet to be made, or that the fixture ``store`` opens; every test that asks for it
    runs on both databases."""
    if request.param == "sqlite":
        return "sqlite:///loopwise.db"
    make = request.getfixturevalue("postgres_database")
    return make(like=request.getfixturevalue("postgres_store")) if "store" in request.fixturenames else make()
