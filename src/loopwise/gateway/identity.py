"""Ids that sort by time, and pseudonyms that only this project can make again."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from functools import cache, lru_cache

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGIT_OF_BYTE = 8 * _CROCKFORD.encode()  # each digit for eight of the 256 bytes

_AHEAD = 4_000  # ids whose random part is drawn at a time
_DIGITS = 16  # of a random part
_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)  # two processes must not draw the same


def new_id(prefix: str) -> str:
    """``prefix_`` and 26 characters: a ULID in lower case (48 bits of milliseconds, 80 random bits)."""
    return f"{prefix}_{_moment(int(time.time() * 1000))}{_random()}"


@lru_cache(maxsize=1)  # many rows arrive within a millisecond
def _moment(at_ms: int) -> str:
    return "".join([_CROCKFORD[at_ms >> shift & 31] for shift in range(45, -1, -5)])


def _random() -> str:
    """80 random bits, drawn ahead: asking the system lets go of the interpreter, and a thread that writes to the disk
    keeps it for longer than ten ids may cost."""
    try:
        return _drawn.pop()
    except IndexError:
        fresh = os.urandom(_AHEAD * _DIGITS).translate(_DIGIT_OF_BYTE).decode()
        _drawn.extend(fresh[at : at + _DIGITS] for at in range(_DIGITS, len(fresh), _DIGITS))
        return fresh[:_DIGITS]


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
