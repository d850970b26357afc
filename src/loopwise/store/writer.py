"""Group commit: many small writes share one durable transaction.

A commit costs one fsync whatever it holds, so whatever arrives while one runs goes into the next together.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

from sqlalchemy.exc import StatementError

from loopwise.errors import StoreError
from loopwise.store import exchanges, feedback
from loopwise.store.database import Store
from loopwise.types import Exchange, Feedback

_GROUP = 1_000  # rows that one commit takes at most
_UNWRITABLE = (StatementError, ValueError, TypeError, OverflowError)  # lone surrogates, objects that are no JSON, …


class GroupWriter:
    """Writes exchanges and feedback from one thread. A future ends when its row is on disk, or with the StoreError."""

    def __init__(self, store: Store):
        self._store = store
        self._queue: queue.SimpleQueue[tuple[Exchange | Feedback, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="loopwise-writer", daemon=True)
        self._thread.start()

    def put(self, row: Exchange | Feedback) -> Future[None]:
        """Hands over ``row``; it is written even when whoever waits for the future goes away."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # a future canceled by its waiter could not be ended by the thread
        self._queue.put((row, future))
        return future

    def close(self) -> None:
        """Writes what waits, then stops."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            group, last = self._next_group()
            if group:
                self._commit(group)
            if last:
                return

    def _next_group(self) -> tuple[list[tuple[Exchange | Feedback, Future[None]]], bool]:
        group: list[tuple[Exchange | Feedback, Future[None]]] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == _GROUP or self._queue.empty():
                return group, False
            item = self._queue.get()
        return group, True

    def _commit(self, group: list[tuple[Exchange | Feedback, Future[None]]]) -> None:
        try:
            with self._store.writing() as conn:
                exchanges.add(conn, [row for row, _ in group if isinstance(row, Exchange)])
                feedback.add(conn, [row for row, _ in group if isinstance(row, Feedback)])
        except StoreError as error:
            for _, future in group:
                future.set_exception(error)
        except _UNWRITABLE as error:
            self._commit_singly(group, error)
        else:
            for _, future in group:
                future.set_result(None)

    def _commit_singly(self, group: list[tuple[Exchange | Feedback, Future[None]]], error: Exception) -> None:
        """One row that no database can hold must not take its neighbors with it."""
        if len(group) == 1:
            row, future = group[0]
            future.set_exception(StoreError(f"The row {row.id!r} cannot be stored ({error}): correct its values."))
            return
        for item in group:
            self._commit([item])
