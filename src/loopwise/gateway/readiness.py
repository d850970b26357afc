"""Whether the gateway can do its work: the store takes a write, the engine answers, there is a champion."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from loopwise.engine.openai import endpoint, unreachable
from loopwise.errors import StoreError
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, meta, releases
from loopwise.store.writer import GroupWriter

FRESH_S = 1.0
_PATIENCE = aiohttp.ClientTimeout(total=2.0)


class Readiness:
    """What the last look found. One look serves all who ask within ``FRESH_S``: it costs a write to the disk."""

    def __init__(self, store: Store, writer: GroupWriter, upstream: Upstream, session: aiohttp.ClientSession):
        self._store = store
        self._writer = writer
        self._upstream = upstream
        self._session = session
        self._looking = asyncio.Lock()
        self._found: dict[str, str] = {}
        self._at = -FRESH_S

    async def checks(self) -> dict[str, str]:
        """By part, ``ok`` or a sentence that says what is wrong."""
        async with self._looking:
            if time.monotonic() - self._at >= FRESH_S:
                store, engine = await asyncio.gather(asyncio.to_thread(self._store_check), self._engine_check())
                self._found = {"store": store, "engine": engine}
                self._at = time.monotonic()
            return self._found

    def _store_check(self) -> str:
        if not self._writer.alive:
            return "The writer has ended: see the log, and restart the gateway."
        try:
            with self._store.writing() as conn:
                meta.prove_writable(conn)
                champion = releases.champion(conn)
        except StoreError as error:
            return str(error)
        return "ok" if champion else "There is no champion yet: run 'loopwise promote RELEASE'."

    async def _engine_check(self) -> str:
        url, headers = self._upstream.url, self._upstream.headers
        try:
            async with self._session.get(
                endpoint(url, "models"), headers=headers, timeout=_PATIENCE, allow_redirects=False
            ) as response:
                status = response.status
        except TimeoutError:
            return f"The model's server at {url} did not answer within {_PATIENCE.total:g} s."
        except aiohttp.ClientError as error:
            return unreachable(url, error)
        return "ok" if status == 200 else f"The model's server at {url} answered GET /v1/models with status {status}."
