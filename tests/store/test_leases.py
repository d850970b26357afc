"""One holder at a time, and no lease outlives its holder for long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from loopwise.errors import StoreError
from loopwise.store import Store, leases


def dead_process() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def test_a_lease_has_one_holder_who_may_renew_it(store: Store):
    with store.writing() as conn:
        assert leases.take(conn, "turn", "me", 60)
        assert leases.take(conn, "turn", "me", 60)
        assert not leases.take(conn, "turn", "you", 60)
        assert leases.current(conn, "turn") == "me"
        assert leases.take(conn, "other", "you", 60)


def test_a_lease_that_ran_out_is_anybodys(store: Store):
    with store.writing() as conn:
        assert leases.take(conn, "turn", "me", -1)
        assert leases.current(conn, "turn") is None
        assert leases.take(conn, "turn", "you", 60)


def test_a_block_holds_its_lease_and_gives_it_back_even_when_it_raises(store: Store):
    def held_and_failing() -> None:
        with leases.held(store, "turn", leases.this_process()):
            with store.reading() as conn:
                assert leases.current(conn, "turn") == f"{socket.gethostname()}:{os.getpid()}"
            raise KeyError

    with pytest.raises(KeyError):
        held_and_failing()
    with store.reading() as conn:
        assert leases.current(conn, "turn") is None


def test_a_lease_of_a_living_holder_is_refused_by_name(store: Store):
    other = f"{socket.gethostname()}:{os.getppid()}"
    with store.writing() as conn:
        leases.take(conn, "turn", other, 60)
    refused = pytest.raises(StoreError, match=rf"Another process \({other}\) holds the lease 'turn'")
    with refused, leases.held(store, "turn", leases.this_process()):
        pytest.fail("it was taken")


def test_a_lease_of_a_killed_holder_ends_at_once_on_its_machine_only(store: Store):
    dead = dead_process()
    elsewhere = "another-machine:" + dead.rpartition(":")[2]
    for holder, free in ((dead, True), (elsewhere, False)):
        with store.writing() as conn:
            leases.take(conn, f"turn {free}", holder, 60)
        if free:
            with leases.held(store, f"turn {free}", leases.this_process()):
                pass
        else:
            with pytest.raises(StoreError), leases.held(store, f"turn {free}", leases.this_process()):
                pass
