"""The API keys as a running gateway knows them: at most a second old, so that revoking takes effect within it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time

from loopwise.errors import StoreError
from loopwise.store import Store, keys
from loopwise.store.keys import ApiKey

FRESH_S = 0.5  # after which the keys are read again before the next request is judged
_PATIENCE_S = 0.4  # how long a request waits for that; a store that hangs must not hang the gateway
_NOTED_EVERY_S = 60.0  # a key's last use is kept this exactly

_log = logging.getLogger(__name__)


class Keyring:
    """Reads the keys when the last reading is older than ``FRESH_S``; while the store cannot be read, that one stands.

    Raises StoreError when the first reading fails.
    """

    def __init__(self, store: Store):
        self._store = store
        self._readable = True
        self._reading: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        self._noted_at: dict[str, float] = {}  # on the monotonic clock
        self._used: dict[str, float] = {}  # since the epoch; what is not in the store yet
        self._read_at = time.monotonic()
        self._keys = self._read()  # by id, with the hash's 32 bytes

    @property
    def locked(self) -> bool:
        """Whether callers need a key. One that was revoked counts: revoking must never open the gateway."""
        return bool(self._keys)

    @property
    def stale(self) -> bool:
        """Whether the keys are to be read again."""
        return time.monotonic() - self._read_at >= FRESH_S

    async def refresh(self) -> None:
        """Returns when the keys are as fresh as they can be had."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._refresh())
        await asyncio.wait((self._reading,), timeout=_PATIENCE_S)

    def find(self, text: bytes) -> ApiKey | None:
        """The key whose text this is, unless it was revoked; notes that it is used.

        What is compared byte by byte are hashes, and in constant time: the time it takes says nothing of a key.
        """
        found = self._keys.get(text[keys.ID_AT])
        if found is None:
            return None
        key, digest = found
        if key.revoked is not None or not hmac.compare_digest(hashlib.sha256(text).digest(), digest):
            return None
        if time.monotonic() - self._noted_at.get(key.id, -_NOTED_EVERY_S) >= _NOTED_EVERY_S:
            self._note(key.id)
        return key

    async def close(self) -> None:
        """Waits for what it still reads and writes."""
        tasks = [task for task in (self._reading, self._noting) if task is not None]
        await asyncio.gather(*tasks)

    async def _refresh(self) -> None:
        asked_at = time.monotonic()  # before the reading: a key that is revoked meanwhile must not look fresh
        try:
            self._keys = await asyncio.to_thread(self._read)
        except StoreError as error:
            if self._readable:
                _log.error("The API keys cannot be read, so those last known keep their rights: %s", error)
            self._readable = False
        else:
            self._readable = True
        self._read_at = asked_at

    def _read(self) -> dict[bytes, tuple[ApiKey, bytes]]:
        with self._store.reading() as conn:
            return {key.id.encode(): (key, bytes.fromhex(key.hash)) for key in keys.all_keys(conn)}

    def _note(self, id: str) -> None:
        self._noted_at[id] = time.monotonic()
        self._used[id] = time.time()
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._write_used())

    async def _write_used(self) -> None:
        while self._used:
            used, self._used = self._used, {}
            try:
                await asyncio.to_thread(self._write, used)
            except StoreError as error:  # only the time of last use is lost, and the next minute brings another
                _log.warning("When API keys were last used cannot be written: %s", error)

    def _write(self, used: dict[str, float]) -> None:
        with self._store.writing() as conn:
            keys.note_used(conn, used)
