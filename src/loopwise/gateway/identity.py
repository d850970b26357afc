"""Ids that sort by time, and pseudonyms that only this project can make again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]  # two digits at once: every row needs an id


def new_id(prefix: str) -> str:
    """``prefix_`` and 26 characters: a ULID in lower case (48 bits of milliseconds, 80 random bits)."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def pseudonym(user: str, key: bytes | None) -> str:
    """HMAC-SHA256 of an end user's id under the project's secret, cut to 128 bits: 32 hex digits. Without a key, the
    name itself."""
    if key is None:
        return user
    return hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:32]
