"""Group commit: what was acknowledged is on disk, whatever happens to the process, its waiters or a neighbor."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from loopwise.errors import StoreError, UnstorableError
from loopwise.store import Store, exchanges, feedback
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, Feedback

WRITER = """
import asyncio, pathlib, sys
from loopwise.store import Store
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, Feedback

async def write(writer, worker):
    n = 0
    while True:
        name = f"{worker}-{n}"
        if n % 2:
            rows = [Feedback(name, 1.0, "thumbs", 1, name), Feedback(name + "b", 1.0, "thumbs", 1, name)]
        else:
            rows = [Exchange(name, 1.0, "m", "r", "f", "a", 1.0, {"n": n}, None, 200, 0.1)]
        await writer.write(rows)
        for row in rows:
            print(row.id, flush=True)
        n += 1

async def main():
    writer = GroupWriter(Store(sys.argv[1], pathlib.Path(sys.argv[2])))
    await asyncio.gather(*(write(writer, worker) for worker in range(4)))

asyncio.run(main())
"""


def row(name: str, value: object = 1, user: str | None = None, about: str = "e") -> Feedback:
    return Feedback(name, 1.0, "thumbs", value, about, user=user)


def exchange(name: str) -> Exchange:
    return Exchange(name, 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {}, None, 200, 0.1)


def stored(store: Store) -> list[str]:
    with store.reading() as conn:
        return [found.id for _, found in feedback.up_to(conn, feedback.watermark(conn))]


@pytest.fixture
def writer(store: Store) -> Iterator[GroupWriter]:
    writer = GroupWriter(store)
    yield writer
    writer.close()


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(store: Store, store_url: str, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, store_url, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    acknowledged += rest.split("\n")[:-1]  # a line cut by the kill was not acknowledged
    with store.reading() as conn:
        found = [e.id for _, e in exchanges.up_to(conn, exchanges.watermark(conn))]
    found += stored(store)
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    assert {name + "b" for name in found if int(name.split("-")[1].rstrip("b")) % 2 and name[-1] != "b"} <= set(found)
    assert len(found) <= len(acknowledged) + 8  # at most what each worker had in flight, two rows each


async def test_rows_are_stored_in_the_order_in_which_they_were_handed_over(store: Store, writer: GroupWriter):
    await asyncio.gather(*(writer.write([row(f"f{n}")]) for n in range(3_000)))  # three groups at least
    assert stored(store) == [f"f{n}" for n in range(3_000)]


async def test_closing_writes_what_waits(store: Store):
    writer = GroupWriter(store)
    written = asyncio.create_task(writer.write([row("f1")]))
    await asyncio.sleep(0)  # until it is handed over
    await asyncio.to_thread(writer.close)
    assert stored(store) == ["f1"]
    assert await written == frozenset()


async def test_the_same_id_twice_is_one_row_the_first(store: Store, writer: GroupWriter):
    for value in (1, -1):
        await writer.write([row("f1", value)])
    await writer.write([row("f2"), row("f2", -1)])
    with store.reading() as conn:
        assert [found.value for _, found in feedback.up_to(conn, 99)] == [1, 1]


async def test_feedback_is_told_which_of_its_exchanges_are_stored(writer: GroupWriter):
    both = await asyncio.gather(writer.write([exchange("a")]), writer.write([row("f1", about="a"), row("f2")]))
    assert both[1] == {"a"}
    assert await writer.write([row("f3", about="z")]) == set()


@pytest.mark.parametrize(
    "bad",
    [
        row("bad", user="\ud800"),
        row("bad", about="\ud800"),
        replace(row("bad"), exchange_id=None, episode_id="\ud800"),
        row("bad", value={1, 2}),
        row("bad", value=object()),
    ],
)
async def test_a_row_that_no_database_can_hold_takes_only_its_unit_with_it(
    store: Store, writer: GroupWriter, bad: Feedback
):
    units = [[row(f"f{n}")] for n in range(20)]
    units[7] += [bad, row("beside")]
    with store.writing():  # so that all of them wait for one group
        results = asyncio.gather(*map(writer.write, units), return_exceptions=True)
        await asyncio.sleep(0)
    kinds = [type(result) for result in await results]
    assert kinds == [frozenset] * 7 + [UnstorableError] + [frozenset] * 12
    with pytest.raises(StoreError, match="The row 'bad' cannot be stored"):
        await writer.write([bad])
    await writer.write([row("after")])
    assert stored(store) == [f"f{n}" for n in range(20) if n != 7] + ["after"]
    assert writer.waiting_rows == 0


@pytest.mark.parametrize("field", ["id", "episode"])
async def test_an_exchange_that_is_named_by_no_text_is_refused_and_the_writer_goes_on(
    store: Store, writer: GroupWriter, field: str
):
    bad = replace(exchange("bad"), **{field: "\ud800"})  # type: ignore[arg-type]
    with pytest.raises(UnstorableError, match="cannot be stored"):
        await writer.write([bad])
    await writer.write([row("after")])
    assert stored(store) == ["after"]


async def test_text_that_postgres_cannot_hold_fails_alone(store: Store, store_url: str, writer: GroupWriter):
    with store.writing():
        results = asyncio.gather(
            writer.write([row("f1")]), writer.write([row("f\0", user="a\0b")]), return_exceptions=True
        )
        await asyncio.sleep(0)
    good, bad = await results
    assert good == frozenset()
    assert (bad == frozenset()) if store_url.startswith("sqlite") else isinstance(bad, UnstorableError)
    assert "f1" in stored(store)


async def test_a_waiter_that_goes_away_neither_stops_the_row_nor_the_writer(store: Store, writer: GroupWriter):
    with store.writing():
        waiting = asyncio.create_task(writer.write([row("f1")]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    await writer.write([row("f2")])
    assert stored(store) == ["f1", "f2"]


async def test_a_store_that_fails_fails_every_row_and_the_writer_recovers(store: Store, writer: GroupWriter):
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE feedback RENAME TO away")
    for result in await asyncio.gather(*(writer.write([row(f"f{n}")]) for n in range(3)), return_exceptions=True):
        assert isinstance(result, StoreError)
        assert "no such table" in str(result) or 'relation "feedback" does not exist' in str(result)
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE away RENAME TO feedback")
    await writer.write([row("f4")])
    assert stored(store) == ["f4"]


async def test_when_too_much_waits_the_next_is_refused_at_once_and_taken_again_later(store: Store):
    writer = GroupWriter(store, most_rows=10)
    with store.writing():
        waiting = asyncio.gather(writer.write([row("f1"), row("f2")]), writer.write([row(f"g{n}") for n in range(8)]))
        await asyncio.sleep(0)
        assert writer.waiting_rows == 10
        with pytest.raises(StoreError, match=r"10 rows of 0\.0 MB wait to be written and the store cannot keep up"):
            await writer.write([row("f3")])
    await waiting
    await writer.write([row("f3")])
    writer.close()
    assert stored(store) == ["f1", "f2", *(f"g{n}" for n in range(8)), "f3"]


async def test_too_many_bytes_are_too_much_however_few_rows_they_are_in(store: Store):
    writer = GroupWriter(store, most_bytes=1_000_000)
    large = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 900_000}]}]}
    with store.writing():
        waiting = [
            writer.hand_over([replace(exchange("e0"), request=large)]),
            writer.hand_over([row("f1", value=["y"] * 20_000)]),  # 80 kB of small items
        ]
        too_much: list[list[Exchange] | list[Feedback]] = [
            [replace(exchange("e1"), response=large)],
            [row("f2", value=2**80, user="z" * 50_000)],
        ]
        for rows in too_much:
            with pytest.raises(StoreError, match=r"2 rows of 1\.0 MB wait to be written and the store cannot keep up"):
                writer.hand_over(rows)
        waiting.append(writer.hand_over([row("f3")]))
    await asyncio.gather(*waiting)
    await writer.write([replace(exchange("e2"), request=large, response=large)])  # more than may wait, and nothing does
    writer.close()
    with store.reading() as conn:
        assert exchanges.known(conn, ["e0", "e1", "e2"]) == {"e0", "e2"}


async def test_what_is_brought_in_twice_is_not_looked_at_again(store: Store):
    looked: list[str] = []

    def seen(_: Connection, new: Sequence[Exchange]) -> list[Feedback]:
        looked.extend(f"{one.id} {one.status}" for one in new)
        return []

    def exchange_brought(name: str, status: int = 200) -> Exchange:
        return replace(exchange(name), arm="external", status=status)

    writer = GroupWriter(store, seen)
    await writer.write([exchange_brought("a"), exchange_brought("a", 500), exchange_brought("b")])
    await writer.write([exchange_brought("b", 500), exchange_brought("c")])
    await writer.write([exchange_brought("a")])
    writer.close()
    assert looked == ["a 200", "b 200", "c 200"]
    with store.reading() as conn:
        assert [found.status for _, found in exchanges.up_to(conn, 99)] == [200, 200, 200]


async def test_what_follows_from_exchanges_is_written_with_them_or_not_at_all(store: Store):
    def seen(_: Connection, new: Sequence[Exchange]) -> list[Feedback]:
        return [row(f"seen {one.id}", object() if one.id == "bad" else True, about=one.id) for one in new]

    writer = GroupWriter(store, seen)
    results = await asyncio.gather(
        *(writer.write([exchange(name)]) for name in ("a", "bad", "b")), return_exceptions=True
    )
    writer.close()
    assert isinstance(results[1], UnstorableError)
    with store.reading() as conn:
        assert exchanges.known(conn, ["a", "bad", "b"]) == {"a", "b"}
    assert stored(store) == ["seen a", "seen b"]


async def test_a_group_is_one_transaction_that_wakes_its_waiters_together(store: Store, writer: GroupWriter):
    with store.writing():
        writes = [asyncio.create_task(writer.write([row(f"f{n}")])) for n in range(100)]
        await asyncio.sleep(0)
    wakes, waiting = 0, set(writes)
    while waiting:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        wakes += 1
    assert wakes <= 2  # the first may have gone into a group before the others came


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_an_error_of_our_own_ends_the_writer_and_everybody_who_waits_is_told(store: Store):
    def seen(_: Connection, __: Sequence[Exchange]) -> list[Feedback]:
        raise ZeroDivisionError

    writer = GroupWriter(store, seen)
    with pytest.raises(StoreError, match="The writer broke: see the log"):
        await writer.write([exchange("a")])
    await asyncio.to_thread(writer.close)
    assert not writer.alive
    with pytest.raises(StoreError, match="The writer has ended"):
        await writer.write([row("f1")])
    with store.reading() as conn:
        assert exchanges.known(conn, ["a"]) == set()
