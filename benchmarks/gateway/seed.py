"""Makes stores of a million or ten million exchanges in minutes, for this benchmark and later ones.

    python -m benchmarks.gateway.seed FOLDER [--exchanges 1000000] [--seed 0] [--days 90] [--url postgresql+psycopg://…]

Chats of about a kilobyte over the days before ``--until``: 20,000 people of whom few write much, episodes of one to six
turns, five releases one after the other, errors and hang-ups, feedback on a twentieth. The same settings give the same
rows. The store is made by its own migrations and written with durability off, its secondary indexes at the end; then
durability is on again. Only an empty store is filled: what is in one already is not put at risk. Postgres is filled by
COPY.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.gateway import people
from sqlalchemy import Table, make_url

from loopwise.store import Store, exchanges, releases, schema
from loopwise.types import Release

BATCH = 20_000  # exchanges per transaction
WHO = "benchmark"
Told = Callable[[int], None]
Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]  # of exchanges, of feedback


@dataclass(frozen=True)
class Seeded:
    """What was made and how fast; ``bytes`` is None where the database is not a file."""

    exchanges: int
    feedback: int
    seconds: float
    bytes: int | None

    @property
    def per_s(self) -> float:
        return self.exchanges / self.seconds


def fill(folder: Path, wanted: people.Wanted, url: str = "sqlite:///loopwise.db", told: Told | None = None) -> Seeded:
    """Fills the empty store in ``folder``, which is made where it is missing.

    Raises ValueError where it holds exchanges."""
    began = time.monotonic()
    store = Store(url, folder, create=True)
    try:
        with store.writing() as conn:
            if exchanges.watermark(conn):
                raise ValueError(f"The store {store.shown_url} holds exchanges already: name another folder.")
            known = {release.name for release in releases.all_releases(conn)}
            for release in [release for release in releases_over(wanted, known) if release.name not in known]:
                releases.add(conn, release, WHO, "seeded")
        parsed = make_url(store.url)
    finally:
        store.close()
    in_sqlite = parsed.get_backend_name() == "sqlite"
    write = write_sqlite if in_sqlite else write_postgres
    where = str(parsed.database) if in_sqlite else parsed.set(drivername="postgresql").render_as_string(False)
    n_feedback = write(where, batches(wanted), told or (lambda _: None))
    size = Path(where).stat().st_size if in_sqlite else None
    return Seeded(wanted.exchanges, n_feedback, time.monotonic() - began, size)


def releases_over(wanted: people.Wanted, known: set[str]) -> Iterator[Release]:
    """One release after the other; the last is champion, unless the project has one."""
    for i, name in enumerate(people.RELEASES):
        last = i == len(people.RELEASES) - 1
        at = wanted.from_s + i / len(people.RELEASES) * wanted.days * 86_400
        state = "champion" if last and not known else "retired"
        parent = people.RELEASES[i - 1] if i else None
        yield Release(name, state, parent, None, people.fingerprint(name), "", at)


def batches(wanted: people.Wanted) -> Iterator[Rows]:
    made = people.rows(wanted)
    while group := list(islice(made, BATCH)):
        yield [exchange for exchange, _ in group], [said for _, said in group if said]


def write_sqlite(path: str, groups: Iterable[Rows], told: Told) -> int:
    """Returns how many rows of feedback there were. Safe against a killed process, not against a power cut."""
    done = n_feedback = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma in ("synchronous=OFF", "cache_size=-262144", "temp_store=MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        secondary = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?)",
            (schema.exchanges.name, schema.feedback.name),
        ).fetchall()
        for name, _ in secondary:
            database.execute(f"DROP INDEX {name}")
        into_exchanges = insert(schema.exchanges, people.EXCHANGE_COLUMNS)
        into_feedback = insert(schema.feedback, people.FEEDBACK_COLUMNS)
        for served, said in groups:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(into_exchanges, served)
            database.executemany(into_feedback, said)
            database.execute("COMMIT")
            done, n_feedback = done + len(served), n_feedback + len(said)
            told(done)
        for _, sql in secondary:
            database.execute(sql)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())  # or its writing back would slow what is measured next
    return n_feedback


def insert(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({names(table, columns)}) VALUES ({', '.join('?' * len(columns))})"


def names(table: Table, columns: tuple[str, ...]) -> str:
    """``columns`` quoted. Raises ValueError where the schema has grown a column that a row must have."""
    needed = {c.name for c in table.columns if not (c.nullable or c.server_default or c.autoincrement is True)}
    if missing := needed - set(columns):
        raise ValueError(f"The table {table.name} has columns that are not seeded yet: {sorted(missing)}.")
    return ", ".join(f'"{name}"' for name in columns)


def write_postgres(url: str, groups: Iterable[Rows], told: Told) -> int:
    import psycopg

    done = n_feedback = 0
    tables = ((schema.exchanges, people.EXCHANGE_COLUMNS), (schema.feedback, people.FEEDBACK_COLUMNS))
    booleans = [people.EXCHANGE_COLUMNS.index("train"), people.EXCHANGE_COLUMNS.index("store")]
    with psycopg.connect(url) as database:
        for served, said in groups:
            typed = [tuple(bool(v) if i in booleans else v for i, v in enumerate(row)) for row in served]
            for (table, columns), rows in zip(tables, (typed, said), strict=True):
                statement = f"COPY {table.name} ({names(table, columns)}) FROM STDIN"
                with database.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
            database.commit()
            done, n_feedback = done + len(served), n_feedback + len(said)
            told(done)
    return n_feedback


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the project folder that the store belongs to")
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--days", type=float, default=90.0)
    parser.add_argument("--until", type=float, default=people.UNTIL_S, help="the last moment, in seconds since 1970")
    parser.add_argument("--url", default="sqlite:///loopwise.db", help="the store's address")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    wanted = people.Wanted(given.exchanges, given.seed, given.days, given.until)
    began = time.monotonic()

    def told(done: int) -> None:
        if done % (25 * BATCH) == 0:
            print(f"{done:,} exchanges, {done / (time.monotonic() - began):,.0f} a second", file=sys.stderr, flush=True)

    try:
        made = fill(given.folder, wanted, given.url, told)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({**vars(made), "per_s": made.per_s}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
