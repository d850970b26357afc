"""Does work for a client for as long as the client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client hung up; the work was canceled."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is canceled when the client hangs up first: then raises ClientGoneError.

    Wants the request's body to be read, so that the next message can only be the hang-up."""
    watch = _Watch(receive)
    watching = asyncio.ensure_future(watch.run())
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and watch.task.uncancel() == 0:
            raise ClientGoneError from None
        raise
    finally:
        watching.cancel()


class _Watch:
    """Cancels the task that made it when the client hangs up."""

    def __init__(self, receive: Receive):
        task = asyncio.current_task()
        assert task is not None  # every request runs in a task
        self.task = task
        self.gone = False
        self._receive = receive

    async def run(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()
