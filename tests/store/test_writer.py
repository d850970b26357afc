"""Group commit: what was acknowledged is on disk, whatever happens to the process, its waiters or a neighbor."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from loopwise.errors import StoreError
from loopwise.store import Store, exchanges, feedback
from loopwise.store.writer import GroupWriter
from loopwise.types import Feedback

URL = "sqlite:///loopwise.db"

WRITER = """
import sys, pathlib, threading
from loopwise.store import Store
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, Feedback

writer = GroupWriter(Store("sqlite:///loopwise.db", pathlib.Path(sys.argv[1])))
lock = threading.Lock()

def write(worker):
    n = 0
    while True:
        name = f"{worker}-{n}"
        if n % 2:
            row = Feedback(name, 1.0, "thumbs", 1, name)
        else:
            row = Exchange(name, 1.0, "m", "r", "f", "a", 1.0, {"n": n}, None, 200, 0.1)
        writer.put(row).result()
        with lock:
            print(name, flush=True)
        n += 1

for worker in range(4):
    threading.Thread(target=write, args=(worker,), daemon=True).start()
threading.Event().wait()
"""


def row(name: str, value: object = 1, user: str | None = None) -> Feedback:
    return Feedback(name, 1.0, "thumbs", value, "e", user=user)


def stored(store: Store) -> list[str]:
    with store.reading() as conn:
        return [found.id for _, found in feedback.up_to(conn, feedback.watermark(conn))]


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(store: Store, tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    acknowledged += rest.split("\n")[:-1]  # a line cut by the kill was not acknowledged
    with store.reading() as conn:
        found = {e.id for _, e in exchanges.up_to(conn, exchanges.watermark(conn))}
        found |= {f.id for _, f in feedback.up_to(conn, feedback.watermark(conn))}
    assert set(acknowledged) <= found
    assert len(found) <= len(acknowledged) + 4  # at most what each worker had in flight


def test_rows_are_stored_in_the_order_in_which_they_were_handed_over(store: Store):
    writer = GroupWriter(store)
    futures = [writer.put(row(f"f{n}")) for n in range(3_000)]  # three groups at least
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert stored(store) == [f"f{n}" for n in range(3_000)]


def test_closing_writes_what_waits(store: Store):
    writer = GroupWriter(store)
    writer.put(row("f1"))
    writer.close()
    assert stored(store) == ["f1"]


def test_the_same_id_twice_is_one_row_the_first(store: Store):
    writer = GroupWriter(store)
    for value in (1, -1):
        writer.put(row("f1", value)).result(5)
    writer.put(row("f2"))
    writer.put(row("f2", -1)).result(5)
    writer.close()
    with store.reading() as conn:
        assert [found.value for _, found in feedback.up_to(conn, 99)] == [1, 1]


@pytest.mark.parametrize("bad", [row("bad", user="\ud800"), row("bad", value={1, 2}), row("bad", value=object())])
def test_a_row_that_no_database_can_hold_fails_alone_and_the_writer_lives(store: Store, bad: Feedback):
    writer = GroupWriter(store)
    with store.writing():  # so that all of them wait for one group
        futures = [writer.put(each) for each in (row("f1"), bad, row("f2"))]
    assert futures[0].result(5) is None
    with pytest.raises(StoreError, match="The row 'bad' cannot be stored"):
        futures[1].result(5)
    assert futures[2].result(5) is None
    writer.put(row("f3")).result(5)
    writer.close()
    assert stored(store) == ["f1", "f2", "f3"]


def test_a_waiter_that_goes_away_neither_stops_the_row_nor_the_writer(store: Store):
    writer = GroupWriter(store)
    with store.writing():
        future = writer.put(row("f1"))
        assert not future.cancel()
    writer.put(row("f2")).result(5)
    writer.close()
    assert stored(store) == ["f1", "f2"]


def test_a_store_that_fails_fails_every_row_and_the_writer_recovers(store: Store):
    writer = GroupWriter(store)
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE feedback RENAME TO away")
    with pytest.raises(StoreError, match="no such table"):
        writer.put(row("f1")).result(5)
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE away RENAME TO feedback")
    writer.put(row("f2")).result(5)
    writer.close()
    assert stored(store) == ["f2"]


def test_many_threads_share_commits(store: Store):
    writer = GroupWriter(store)

    def write(worker: int) -> None:
        for n in range(50):
            writer.put(row(f"{worker}-{n}")).result(10)

    threads = [Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert sorted(stored(store)) == sorted(f"{worker}-{n}" for worker in range(8) for n in range(50))
