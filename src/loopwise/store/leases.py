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


class Lease:
    """A lease that is held. It can be lost: to a suspended machine, or a store that was locked for too long."""

    def __init__(self, name: str):
        self.name = name
        self.ended = threading.Event()
        self.lost = threading.Event()

    def check(self) -> None:
        """Raises StoreError when somebody else may hold the lease by now."""
        if self.lost.is_set():
            raise StoreError(f"The lease {self.name!r} ran out while this process could not renew it: run it again.")


@contextmanager
def held(store: Store, name: str, holder: str) -> Generator[Lease]:
    """Holds the lease for as long as the block runs. Raises StoreError while another living holder has it."""
    with store.writing() as conn:
        _end_if_dead(conn, name)
        if not take(conn, name, holder, LEASE_S):
            other = current(conn, name)
            raise StoreError(f"Another process ({other}) holds the lease {name!r}: wait for it to end, or stop it.")
    lease = Lease(name)
    keeper = threading.Thread(target=_renew, args=(store, lease, holder), name="loopwise-lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        lease.ended.set()
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


def _renew(store: Store, lease: Lease, holder: str) -> None:
    renewed = time.monotonic()
    while not lease.ended.wait(LEASE_S / 3):
        try:
            with store.writing() as conn:
                mine = take(conn, lease.name, holder, LEASE_S)
            renewed = time.monotonic()
        except StoreError:  # locked for a while: the next try may succeed before the lease has run out
            mine = time.monotonic() - renewed < LEASE_S
        if not mine:
            lease.lost.set()
            return


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
