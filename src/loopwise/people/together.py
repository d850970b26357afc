"""Calls that are cheaper together: what comes up while one is under way goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """``call`` takes items and gives a result for each, in order; one call at a time. What it raises reaches everybody
    whose item went along."""

    def __init__(self, call: Callable[[Sequence[T]], Awaitable[Sequence[R]]]):
        self._call = call
        self._items: list[T] = []
        self._next: asyncio.Task[Sequence[R]] | None = None
        self._last: asyncio.Task[Sequence[R]] | None = None

    async def __call__(self, item: T) -> R:
        if self._next is None:
            self._items = []
            self._next = asyncio.create_task(self._run(self._items, self._last))
        task, place = self._next, len(self._items)
        self._items.append(item)
        return (await task)[place]

    async def _run(self, items: Sequence[T], before: asyncio.Task[Sequence[R]] | None) -> Sequence[R]:
        if before is not None:
            await asyncio.wait([before])
        self._last, self._next = self._next, None  # whoever comes from here on goes with the next
        return await self._call(items)
