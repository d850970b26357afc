"""Which release answers: the champion, as the store said it at most half a second ago, or last where it hangs."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from loopwise.errors import StoreError
from loopwise.store import Store, releases
from loopwise.types import Release

FRESH_S = 0.1
STALE_S = 0.5  # up to here a request need not wait for the next reading
PATIENCE_S = 0.4  # with a store that hangs, from the beginning of the reading

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """The releases by name, oldest first, and the champion among them."""

    releases: dict[str, Release]
    champion: Release | None


class Served:
    """Reads the releases when the last reading is older than ``FRESH_S``.

    While the store cannot be read, or hangs, the last reading stands, so that a model that answers keeps answering.
    """

    def __init__(self, store: Store):
        self._store = store
        self._reading: asyncio.Task[Snapshot] | None = None
        self._snapshot: Snapshot | None = None
        self._read_at = 0.0
        self._began = 0.0

    async def now(self) -> Snapshot:
        """Raises StoreError when the store has never been read."""
        last, now = self._snapshot, time.monotonic()
        age_s = now - self._read_at
        if last is not None and age_s < FRESH_S:
            return last
        if self._reading is None:
            self._began = now
            self._reading = asyncio.create_task(self._refreshed())
            self._reading.add_done_callback(self._read_ended)
        if last is not None and age_s < STALE_S:
            return last
        if last is None:
            return await asyncio.shield(self._reading)
        done, _ = await asyncio.wait([self._reading], timeout=self._began + PATIENCE_S - now)
        return done.pop().result() if done else last

    def _read_ended(self, reading: asyncio.Task[Snapshot]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._snapshot = reading.result()
            self._read_at = time.monotonic()

    async def _refreshed(self) -> Snapshot:
        try:
            return await asyncio.to_thread(self._read)
        except StoreError as error:
            if self._snapshot is None:
                raise
            _log.error("The releases cannot be read, so the last known champion keeps serving: %s", error)
            return self._snapshot

    def _read(self) -> Snapshot:
        with self._store.reading() as conn:
            known = {release.name: release for release in releases.all_releases(conn)}
        champions = [release for release in known.values() if release.state == "champion"]
        return Snapshot(known, champions[0] if champions else None)
