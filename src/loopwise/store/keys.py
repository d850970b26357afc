"""API keys: made, listed, revoked. The text of a key is known only to whoever made it; the store has its SHA-256.

A slow, salted hash protects passwords because people choose guessable ones. A key here is 256 bits from the system's
random source: nobody finds it from its SHA-256 by trying, with a salt or without, so the cheap hash that a gateway can
afford at every request gives nothing away.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, select

from loopwise.errors import UnknownNameError, UsageError
from loopwise.store.schema import api_keys

Role = Literal["operator", "app", "feedback"]
ROLES: dict[Role, str] = {
    "operator": "everything",
    "app": "calls the model, gives feedback of people, brings in exchanges",
    "feedback": "gives feedback of people, and nothing else: for browsers",
}
LOOKS_LIKE = "lw_"  # what every key begins with
ID_AT = slice(3, 11)  # where the id stands in a key's text: lw_<id>_<secret>
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # no letters that are read as digits
_LONGEST_NAME = 100


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept. ``id`` is the part that may be shown; None as a limit is no limit; times are seconds since
    the epoch."""

    id: str
    name: str
    hash: str = field(repr=False)  # SHA-256 of the whole text, in hex
    role: Role
    per_minute: int | None
    at_once: int | None
    at: float
    last_used: float | None = None
    revoked: float | None = None


def make(
    conn: Connection, name: str, role: str, at: float, *, per_minute: int | None = None, at_once: int | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, which cannot be had again. Raises UsageError for an unknown role, a name that cannot be
    shown, or a limit below 1."""
    if role not in ROLES:
        raise UsageError(f"There is no role {role!r} for keys: choose {', '.join(ROLES)}.")
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{name!r} cannot name a key: give 1 to {_LONGEST_NAME} printable characters.")
    for limit, value in {"requests per minute": per_minute, "requests at once": at_once}.items():
        if value is not None and value < 1:
            raise UsageError(f"{value} {limit} would refuse everything: give at least 1, or revoke the key.")
    id = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    text = f"{LOOKS_LIKE}{id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(id, name, hash_of(text.encode()), role, per_minute, at_once, at)
    conn.execute(api_keys.insert(), vars(key))
    return key, text


def hash_of(text: bytes) -> str:
    """What the store keeps of a key's text."""
    return hashlib.sha256(text).hexdigest()


def all_keys(conn: Connection) -> list[ApiKey]:
    """Oldest first, with the revoked ones."""
    return [_key(row) for row in conn.execute(select(api_keys).order_by(api_keys.c.at, api_keys.c.id)).mappings()]


def may_serve_others(conn: Connection) -> bool:
    """Whether a key exists with which a program elsewhere could call the model."""
    usable = select(api_keys.c.id).where(api_keys.c.revoked.is_(None), api_keys.c.role.in_(("operator", "app")))
    return conn.scalar(usable.limit(1)) is not None


def revoke(conn: Connection, id: str, at: float) -> ApiKey:
    """The key, refused from now on, or since it was revoked before. Raises UnknownNameError."""
    conn.execute(api_keys.update().where(api_keys.c.id == id, api_keys.c.revoked.is_(None)).values(revoked=at))
    row = conn.execute(select(api_keys).where(api_keys.c.id == id)).mappings().first()
    if row is None:
        known = ", ".join(key.id for key in all_keys(conn)) or "none yet"
        raise UnknownNameError(f"There is no API key with the id {id!r}; those that exist: {known}.")
    return _key(row)


def note_used(conn: Connection, used: Mapping[str, float]) -> None:
    """Keeps when keys were last used, by id; an earlier time than the one known changes nothing."""
    for id, at in used.items():
        earlier = api_keys.c.last_used.is_(None) | (api_keys.c.last_used < at)
        conn.execute(api_keys.update().where(api_keys.c.id == id, earlier).values(last_used=at))


def _key(row: RowMapping) -> ApiKey:
    values: dict[str, Any] = dict(row)
    return ApiKey(**values)
