"""One holder at a time: a lease ends by itself when its holder is killed."""

from __future__ import annotations

import time

from sqlalchemy import Connection, select

from loopwise.store.inserts import insert_new
from loopwise.store.schema import leases


def take(conn: Connection, name: str, holder: str, seconds: float) -> bool:
    """Takes or renews the lease. False while somebody else holds it."""
    now = time.time()
    insert_new(conn, leases, [{"name": name, "holder": holder, "until": now + seconds}])
    mine_or_over = (leases.c.holder == holder) | (leases.c.until < now)
    taken = conn.execute(
        leases.update().where(leases.c.name == name, mine_or_over).values(holder=holder, until=now + seconds)
    )
    return taken.rowcount == 1


def holder(conn: Connection, name: str) -> tuple[str, float] | None:
    """(holder, seconds left) of a lease that runs; None otherwise."""
    row = conn.execute(select(leases).where(leases.c.name == name)).mappings().first()
    left_s = row["until"] - time.time() if row else 0.0
    return (row["holder"], left_s) if row and left_s > 0 else None


def give_back(conn: Connection, name: str, holder: str) -> None:
    conn.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))
