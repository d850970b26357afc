"""Text expires: after so many days by table, what people and models wrote goes, and counts, ids and hashes stay.

It goes in small transactions with pauses between them, so that whoever records an exchange never waits long. Killed at
any point, the next call goes on where it stopped. In the end the text is nowhere in SQLite's files: it overwrites what
it deletes, and ``Store.wipe`` empties its log. Postgres reuses the space after VACUUM; its write-ahead log, its backups
and its replicas are its operator's to expire.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, Protocol

from sqlalchemy import Column, Connection, RowMapping, Table, Text, bindparam, cast, select, text

from loopwise.errors import StoreError
from loopwise.store import feedback
from loopwise.store.database import Store
from loopwise.store.schema import attempts, chunks, datasets, exchanges, feedback as said
from loopwise.store.textless import textless_error, textless_request, textless_response
from loopwise.types import Feedback, JsonObject

_DAY_S = 86_400.0
ROWS, CHARACTERS = 100, 500_000  # in a transaction: about 10 ms, since overwriting costs as much as writing
_PAUSE_S = 0.02
_UNEXPIRED = text("NOT expired")  # as the indexes spell it

_log = logging.getLogger(__name__)


class Days(Protocol):
    """Days after which a table's text goes; None keeps it. ``RetentionSettings`` is one."""

    @property
    def exchanges(self) -> float | None: ...
    @property
    def feedback(self) -> float | None: ...
    @property
    def attempts(self) -> float | None: ...
    @property
    def datasets(self) -> float | None: ...


@dataclass(frozen=True)
class Expired:
    """How many rows lost their text, by table; datasets are files. ``wiped`` says whether the text has left the
    store's files too: it has not while somebody reads an old state of it, and the next call tries again."""

    exchanges: int = 0
    feedback: int = 0
    attempts: int = 0
    datasets: int = 0
    wiped: bool = True


def expire(store: Store, days: Days, now: float, stop: Event | None = None) -> Expired:
    """Takes out the text of what is older than ``days`` at ``now``, in seconds since the epoch; doing it twice changes
    nothing. Ends early once ``stop`` is set. Raises StoreError."""
    stop = stop or Event()
    counts: dict[str, int] = {}
    for name, limit, (read, write) in (
        ("exchanges", days.exchanges, (_read_exchanges, _write_exchanges)),
        ("feedback", days.feedback, (_read_feedback, _write_feedback)),
        ("attempts", days.attempts, (_read_chunks, _write_chunks)),
    ):
        if limit is not None:
            counts[name] = in_steps(store, stop, partial(read, before=now - limit * _DAY_S), write)
    try:
        if days.datasets is not None:
            counts["datasets"] = _remove_datasets(store, now - days.datasets * _DAY_S)
    finally:  # whatever cannot be removed; and always, since feedback may have lost its text to a store: false
        wiped = store.wipe()
    return Expired(**counts, wiped=wiped)


async def keep_expiring(store: Store, days: Days, every_s: float = 3_600.0) -> None:
    """Calls ``expire`` now and every ``every_s`` seconds until it is canceled. A store that fails, or a file that
    cannot be removed, is logged and tried again at the next time."""
    stop = Event()
    try:
        while True:
            try:
                found = await asyncio.to_thread(expire, store, days, time.time(), stop)
            except StoreError as error:
                _log.error("Text that is due to expire has not expired yet: %s", error)
            else:
                _log.info("Expired by retention: %s", found)
            await asyncio.sleep(every_s)
    finally:
        stop.set()


def in_steps(
    store: Store,
    stop: Event,
    read: Callable[[Connection], list[Any]],
    write: Callable[[Connection, list[Any]], int],
) -> int:
    """Reads and writes until nothing is left to read; what is read is prepared outside the write lock."""
    count = 0
    while not stop.is_set():
        with store.reading() as conn:
            batch = read(conn)
        if not batch:
            break
        began = time.monotonic()
        with store.writing() as conn:
            count += write(conn, batch)
        stop.wait(max(_PAUSE_S, time.monotonic() - began))
    return count


def _read_exchanges(conn: Connection, before: float) -> list[JsonObject]:
    c = exchanges.c
    return [
        {
            "at_seq": row["seq"],
            "request": textless_request(json.loads(row["request"])),
            "response": None if response is None else textless_response(response),
            "error": textless_error(row["error"], row["status"]),
            "train": False,
            "expired": True,
        }
        for row in _due(conn, exchanges, before, [c.seq, c.status, c.error], [c.request, c.response])
        for response in [json.loads(row["response"] or "null")]
    ]


def _write_exchanges(conn: Connection, rows: list[JsonObject]) -> int:
    conn.execute(exchanges.update().where(exchanges.c.seq == bindparam("at_seq")), rows)
    return len(rows)


def _read_feedback(conn: Connection, before: float) -> list[tuple[int, Feedback]]:
    c = said.c
    plain = [column for column in c if column not in (c.value, c.metadata)]
    due = _due(conn, said, before, plain, [c.value, c.metadata])
    return [
        (row["seq"], feedback.feedback_of({**row, **{name: json.loads(row[name]) for name in ("value", "metadata")}}))
        for row in due
    ]


def _write_feedback(conn: Connection, rows: list[tuple[int, Feedback]]) -> int:
    feedback.erase(conn, dict(rows), expired=True)
    return len(rows)


def _read_chunks(conn: Connection, before: float) -> list[tuple[int, int]]:
    """One at a time: all attempts of a chunk go together, and it has as many as are fit for one transaction."""
    due = select(chunks.c.turn, chunks.c.index).where(~chunks.c.expired, chunks.c.at < before).limit(1)
    return [(turn, index) for turn, index in conn.execute(due)]


def _write_chunks(conn: Connection, rows: list[tuple[int, int]]) -> int:
    ((turn, index),) = rows
    of_chunk = (attempts.c.turn == turn) & (attempts.c.chunk == index)
    count = conn.execute(attempts.update().where(of_chunk).values(text="", reason="")).rowcount
    conn.execute(chunks.update().where(chunks.c.turn == turn, chunks.c.index == index).values(expired=True))
    return count


def _remove_datasets(store: Store, before: float) -> int:
    """Removes the files; rows and manifests stay. Raises StoreError for those that cannot be removed, after the others
    are."""
    with store.reading() as conn:
        paths = [store.root / path for path in conn.scalars(select(datasets.c.path).where(datasets.c.at < before))]
    count, stuck = 0, list[OSError]()
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            stuck.append(error)
        else:
            count += 1
    if stuck:
        raise StoreError(
            f"{len(stuck)} of the datasets that are due cannot be removed, such as {stuck[0].filename} "
            f"({stuck[0].strerror}): let their folder be written to, or remove them by hand."
        ) from stuck[0]
    return count


def _due(
    conn: Connection, table: Table, before: float, plain: list[Column[Any]], in_json: list[Column[Any]]
) -> Iterator[RowMapping]:
    """The oldest rows, as many as one transaction should change; the columns ``in_json`` as text."""
    columns = [*plain, *(cast(column, Text).label(column.name) for column in in_json)]
    query = select(*columns).where(_UNEXPIRED, table.c.at < before).order_by(table.c.at).limit(ROWS)
    characters = 0
    for row in conn.execute(query, execution_options={"yield_per": 10}).mappings():
        yield row
        characters += sum(len(row[column.name] or "") for column in in_json)
        if characters > CHARACTERS:
            return
