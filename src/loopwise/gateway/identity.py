"""Ids that sort by time, and pseudonyms that only this project can make again."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from functools import cache

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]  # two digits at once: every row needs an id

_AHEAD = 4_000  # numbers drawn at a time
_drawn: list[int] = []
os.register_at_fork(after_in_child=_drawn.clear)  # two processes must not draw the same


def new_id(prefix: str) -> str:
    """``prefix_`` and 26 characters: a ULID in lower case (48 bits of milliseconds, 80 random bits)."""
    number = int(time.time() * 1000) << 80 | _random_80()
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def _random_80() -> int:
    """80 random bits, drawn ahead: asking the system lets go of the interpreter, and a thread that writes to the disk
    keeps it for longer than ten ids may cost."""
    try:
        return _drawn.pop()
    except IndexError:
        fresh = os.urandom(10 * _AHEAD)
        _drawn.extend(int.from_bytes(fresh[at : at + 10], "big") for at in range(10, len(fresh), 10))
        return int.from_bytes(fresh[:10], "big")


def pseudonym(user: str, key: bytes | None) -> str:
    """HMAC-SHA256 of an end user's id under the project's secret, cut to 128 bits: 32 hex digits. Without a key, the
    name itself."""
    if key is None:
        return user
    hashed = _keyed(key).copy()
    hashed.update(user.encode())
    return hashed.hexdigest()[:32]


@cache
def _keyed(key: bytes) -> hmac.HMAC:
    """The hash under ``key`` of nothing yet: taking in the key is half the work."""
    return hmac.new(key, digestmod=hashlib.sha256)
