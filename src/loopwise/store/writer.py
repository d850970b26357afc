"""Group commit: many small writes share one durable transaction.

A commit costs one fsync whatever it holds, so whatever arrives while one runs goes into the next together. The queue is
bounded in rows and in the bytes of their JSON, which takes a few times as much memory: a disk that cannot keep up is an
error at once, not memory that grows.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from loopwise.errors import ForgottenError, StoreError, UnstorableError
from loopwise.store import exchanges, feedback, forgotten
from loopwise.store.database import HeldConnection, Store
from loopwise.types import Exchange, Feedback

_GROUP = 4_000  # rows after which a commit takes no further unit

Rows = Sequence[Exchange] | Sequence[Feedback]
Seen = Callable[[Connection, Sequence[Exchange]], Sequence[Feedback]]


@dataclass(frozen=True)
class _Unit:
    """Rows that are written whole or not at all, and who waits for them."""

    rows: Rows
    bytes: int
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[frozenset[str]]

    @property
    def exchange_ids(self) -> frozenset[str]:
        """Of the exchanges that are brought or named."""
        ids = (row.id if isinstance(row, Exchange) else row.exchange_id for row in self.rows)
        return frozenset(id for id in ids if id)


class GroupWriter:
    """Writes exchanges and feedback from one thread, in the order in which they are handed over.

    ``seen`` is asked, in the transaction that adds exchanges, which implicit feedback follows from those that are new;
    it is written with them. An exchange whose id is stored already changes nothing.
    """

    def __init__(
        self,
        store: Store,
        seen: Seen | None = None,
        most_rows: int = 20_000,
        most_bytes: int = 256_000_000,
        patience_s: float = 10.0,
    ):
        self._held = HeldConnection(store)
        self._seen = seen
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._patience_s = patience_s
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="loopwise-writer", daemon=True)
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """Rows handed over and not yet on disk."""
        return self._waiting_rows

    @property
    def alive(self) -> bool:
        """Whether rows are still taken: an error of our own ends the thread, and is in the log."""
        return self._thread.is_alive()

    async def write(self, rows: Rows) -> frozenset[str]:
        """Returns when ``rows`` are on disk, with the ids of those exchanges that feedback among them names and the
        store has. They are written even when whoever waits goes away.

        Raises StoreError: at once when too much waits, and when the store has not answered within ``patience_s``.
        """
        written = self.hand_over(rows)
        late = asyncio.get_running_loop().call_later(self._patience_s, self._give_up, written)
        try:
            return await written
        finally:
            late.cancel()

    def hand_over(self, rows: Rows) -> asyncio.Future[frozenset[str]]:
        """As ``write``, without waiting. Raises StoreError when too much waits; wants a running event loop.

        Where nothing waits anything is taken, so that no unit is too large for ever."""
        if not self.alive:
            raise StoreError("The writer has ended: see the log, and restart the gateway.")
        size = sum(map(_bytes, rows))
        with self._lock:
            waiting_rows, waiting_bytes = self._waiting_rows + len(rows), self._waiting_bytes + size
            if self._waiting_rows and (waiting_rows > self._most_rows or waiting_bytes > self._most_bytes):
                raise StoreError(
                    f"{self._waiting_rows} rows of {self._waiting_bytes / 1e6:.1f} MB wait to be written and the store "
                    "cannot keep up: send less, or give it a faster disk."
                )
            self._waiting_rows, self._waiting_bytes = waiting_rows, waiting_bytes
        loop = asyncio.get_running_loop()
        written: asyncio.Future[frozenset[str]] = loop.create_future()
        self._queue.put(_Unit(rows, size, loop, written))
        return written

    def close(self) -> None:
        """Writes what waits, then stops."""
        self._queue.put(None)
        self._thread.join()

    def _give_up(self, written: asyncio.Future[frozenset[str]]) -> None:
        sentence = f"The store has not written for {self._patience_s:g} s: see whether its disk still answers."
        _end([written], StoreError(sentence))

    def _run(self) -> None:
        while True:
            group, last = self._next_group()
            settled = False
            try:
                self._commit(group)
                settled = True
            finally:
                if not settled:  # an error of our own, which ends the thread with a trace in the log
                    self._settle(group, StoreError("The writer broke: see the log, and restart the gateway."))
            if last:
                self._held.close()
                return

    def _next_group(self) -> tuple[list[_Unit], bool]:
        group: list[_Unit] = []
        rows = 0
        unit = self._queue.get()
        while unit is not None:
            group.append(unit)
            rows += len(unit.rows)
            if rows >= _GROUP or self._queue.empty():
                return group, False
            unit = self._queue.get()
        return group, True

    def _commit(self, group: list[_Unit]) -> None:
        served = [row for unit in group for row in unit.rows if isinstance(row, Exchange)]
        said = [row for unit in group for row in unit.rows if isinstance(row, Feedback)]
        try:
            with self._held.writing() as conn:
                # An id that is drawn here is new; one that was brought in may have been brought in before.
                brought = [row.id for row in served if row.arm == "external"]
                if brought:
                    forgotten.refuse(conn, brought)
                new = exchanges.new_among(conn, served) if brought else served
                if new:
                    seen = self._seen(conn, new) if self._seen else ()
                    exchanges.add(conn, new)
                    feedback.add(conn, seen)
                known = feedback.add(conn, said)
        except ForgottenError as error:
            self._refuse_forgotten(group, error.ids)
        except UnstorableError as error:
            self._commit_apart(group, error)
        except StoreError as error:
            self._settle(group, error)
        else:
            self._settle(group, known)

    def _refuse_forgotten(self, group: list[_Unit], gone: frozenset[str]) -> None:
        """Units that name one of ``gone`` are refused; the others are written, together."""
        others: list[_Unit] = []
        for unit in group:
            named = unit.exchange_ids & gone
            if named:
                self._settle([unit], ForgottenError(named))
            else:
                others.append(unit)
        if others:
            self._commit(others)

    def _commit_apart(self, group: list[_Unit], error: UnstorableError) -> None:
        """A row that the database cannot hold must not take its neighbors with it: the group is halved until the unit
        with that row is alone, so that it costs the others a few more commits."""
        if len(group) == 1:
            self._settle(group, error)
            return
        middle = len(group) // 2
        self._commit(group[:middle])
        self._commit(group[middle:])

    def _settle(self, group: list[_Unit], result: frozenset[str] | StoreError) -> None:
        """Wakes who waits: once for each loop, since each call across threads costs a system call."""
        with self._lock:
            self._waiting_rows -= sum(len(unit.rows) for unit in group)
            self._waiting_bytes -= sum(unit.bytes for unit in group)
        for loop in {unit.loop for unit in group}:
            futures = [unit.written for unit in group if unit.loop is loop]
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_end, futures, result)


def _bytes(row: Exchange | Feedback) -> int:
    """The length of a row's JSON. 0 for one that has none: it is refused when it is written."""
    try:
        return len(orjson.dumps(row))
    except TypeError:  # integers of more than 64 bits or deep nesting, which the standard library takes
        with suppress(TypeError, ValueError, RecursionError):
            return len(json.dumps(vars(row)))
    return 0


def _end(futures: Sequence[asyncio.Future[frozenset[str]]], result: frozenset[str] | StoreError) -> None:
    for future in futures:
        if future.done():  # canceled by who waited, or given up
            continue
        if isinstance(result, StoreError):
            future.set_exception(result)
            future.exception()  # seen: asyncio would report it as forgotten where nobody waits any more
        else:
            future.set_result(result)
