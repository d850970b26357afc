"""SQLite on a disk that is full: one sentence, nothing half-written, and it works again when there is space."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from loopwise.errors import StoreError
from loopwise.store import Store, exchanges
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange
from small_disk import SmallDisk

ROW = Exchange("", 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {}, None, 200, 0.1)
WAY_OUT = "the disk is full; free some space and try again"


def pair(n: int, text: str) -> list[Exchange]:
    return [replace(ROW, id=f"{half}{n}", request={"text": text}) for half in "ab"]


def fill(disk: SmallDisk) -> int:
    """Takes all that is left of the disk, and returns its size in bytes."""
    with (disk.folder / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"\1" * 4096)
        except OSError:
            return ballast.tell()


@pytest.fixture
def store(small_disk: SmallDisk):
    store = Store("sqlite:///loopwise.db", small_disk.folder, create=True)
    yield store
    store.close()


async def test_a_full_disk_fails_whole_units_and_the_writer_goes_on_when_there_is_space(
    store: Store, small_disk: SmallDisk
):
    writer = GroupWriter(store)
    text = os.urandom(20_000).hex()
    written: list[int] = []

    async def fill_up() -> None:
        for n in range(1_000):
            await writer.write(pair(n, text))
            written.append(n)

    with pytest.raises(StoreError, match=WAY_OUT):
        await fill_up()
    assert written
    for n in (1_001, 1_002):  # still full: the next ones fail as clearly
        with pytest.raises(StoreError, match=WAY_OUT):
            await writer.write(pair(n, text))
    with store.reading() as conn:
        assert exchanges.count(conn) == 2 * len(written)  # and what is there can be read
    small_disk.grow()
    await writer.write(pair(2_000, text))
    await asyncio.to_thread(writer.close)
    store.close()
    reopened = Store("sqlite:///loopwise.db", small_disk.folder)
    with reopened.reading() as conn:
        found = [row.id for _, row in exchanges.up_to(conn, 10_000)]
        assert conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    reopened.close()
    assert found == [row.id for n in (*written, 2_000) for row in pair(n, "")]


def test_a_disk_that_others_filled_to_the_last_page_is_survived(store: Store, small_disk: SmallDisk):
    with store.writing() as conn:
        exchanges.add(conn, pair(1, "there"))
    assert fill(small_disk) > 0

    def write() -> None:
        with store.writing() as conn:
            exchanges.add(conn, pair(2, "x" * 100_000))

    for _ in range(3):
        with pytest.raises(StoreError, match=WAY_OUT):
            write()
    with store.reading() as conn:
        assert [row.id for _, row in exchanges.up_to(conn, 9)] == ["a1", "b1"]
    (small_disk.folder / "ballast").unlink()
    write()
    with store.reading() as conn:
        assert exchanges.count(conn) == 4


def test_a_store_on_a_full_disk_cannot_be_made_and_leaves_none_behind(small_disk: SmallDisk):
    fill(small_disk)
    with pytest.raises(StoreError, match="cannot be used"):
        Store("sqlite:///loopwise.db", small_disk.folder, create=True)
    (small_disk.folder / "ballast").unlink()
    Store("sqlite:///loopwise.db", small_disk.folder, create=True).close()
