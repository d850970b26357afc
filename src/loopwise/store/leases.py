"""One holder at a time: a lease ends by itself when its holder is killed, at once where that can be seen."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, select

from loopwise.errors import StoreError
from loopwise.store.database import Store
from loopwise.store.inserts import insert_new
from loopwise.store.schema import leases

LEASE_S = 30.0


@contextmanager
def held(store: Store, name: str, holder: str) -> Generator[None]:
    """Holds the lease for as long as the block runs. Raises StoreError while another living holder has it."""
    with store.writing() as conn:
        _end_if_dead(conn, name)
        if not take(conn, name, holder, LEASE_S):
            other = current(conn, name)
            raise StoreError(f"Another process ({other}) holds the lease {name!r}: wait for it to end, or stop it.")
    ended = threading.Event()
    keeper = threading.Thread(target=_renew, args=(store, name, holder, ended), name="loopwise-lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with store.writing() as conn:
            conn.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


def take(conn: Connection, name: str, holder: str, seconds: float) -> bool:
    """Takes or renews the lease. False while somebody else holds it."""
    now = time.time()
    insert_new(conn, leases, [{"name": name, "holder": holder, "until": now + seconds}])
    mine_or_over = (leases.c.holder == holder) | (leases.c.until < now)
    taken = conn.execute(
        leases.update().where(leases.c.name == name, mine_or_over).values(holder=holder, until=now + seconds)
    )
    return taken.rowcount == 1


def current(conn: Connection, name: str) -> str | None:
    """Who holds a lease that has not run out."""
    query = select(leases.c.holder).where(leases.c.name == name, leases.c.until >= time.time())
    return conn.scalar(query)


def this_process() -> str:
    """This process as a holder: machine and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _renew(store: Store, name: str, holder: str, ended: threading.Event) -> None:
    while not ended.wait(LEASE_S / 3):
        with store.writing() as conn:
            take(conn, name, holder, LEASE_S)


def _end_if_dead(conn: Connection, name: str) -> None:
    """Ends a lease whose holder ran on this machine and is gone; elsewhere only time can tell."""
    holder = current(conn, name)
    if holder is None:
        return
    machine, _, pid = holder.rpartition(":")
    if machine == socket.gethostname() and not _alive(int(pid)):
        conn.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
