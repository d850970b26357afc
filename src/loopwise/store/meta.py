"""What a project keeps about itself: a few values by key."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import Connection, select

from loopwise.store.inserts import insert_new
from loopwise.store.schema import meta

_PSEUDONYM_KEY = select(meta.c.value).where(meta.c.key == "pseudonym_key")


def prove_writable(conn: Connection) -> None:
    """Writes a row, so that a commit shows whether the disk still takes one."""
    insert_new(conn, meta, [{"key": "proved_writable", "value": ""}])
    conn.execute(meta.update().where(meta.c.key == "proved_writable").values(value=str(time.time())))


def pseudonym_key(conn: Connection) -> bytes:
    """The secret with which end-user ids are hashed; made once per project. Wants a writing connection."""
    insert_new(conn, meta, [{"key": "pseudonym_key", "value": secrets.token_hex(32)}])
    return bytes.fromhex(conn.scalars(_PSEUDONYM_KEY).one())


def made_pseudonym_key(conn: Connection) -> bytes | None:
    """The same secret; None where no pseudonym was ever made."""
    found = conn.scalar(_PSEUDONYM_KEY)
    return None if found is None else bytes.fromhex(found)
