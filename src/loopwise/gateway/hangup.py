"""Does work for a client for as long as the client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

UNWATCHED_S = 0.02

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client hung up; the work was canceled."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is canceled when the client hangs up first: then raises ClientGoneError.

    Wants the request's body to be read, so that the next message can only be the hang-up. Nobody watches work that ends
    within ``UNWATCHED_S``: a task for each request would cost more than what it saves."""
    watch = _Watch(receive)
    later = asyncio.get_running_loop().call_later(UNWATCHED_S, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and watch.worker.uncancel() == 0:
            raise ClientGoneError from None
        raise
    finally:
        later.cancel()
        watch.end()


class _Watch:
    """Cancels the task that made it when the client hangs up."""

    def __init__(self, receive: Receive):
        worker = asyncio.current_task()
        assert worker is not None  # every request runs in a task
        self.worker = worker
        self.gone = False
        self._receive = receive
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.worker.cancel()
