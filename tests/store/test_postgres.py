"""What can go wrong between Loopwise and a Postgres server: each is one sentence, and the store recovers by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text as sql

from loopwise.errors import StoreError
from loopwise.store import Store, exchanges, releases
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, Release
from postgres_server import Postgres, ordinary_user
from small_disk import SmallDisk

RELEASE = Release("a@1", "candidate", None, None, "sha256:aa", "models/a@1", 1.0)


def exchange(name: str, text: str = "") -> Exchange:
    return Exchange(name, 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, {"text": text}, None, 200, 0.1)


@pytest.fixture
def url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    store = Store(url, tmp_path, create=True)
    yield store
    store.close()


def test_no_server_wrong_password_and_no_database_are_told_apart_without_the_password(url: str, tmp_path: Path):
    address = make_url(url)
    for wrong, way_out in (
        (address.set(port=1), "no server listens there; start it, or correct host and port"),
        (address.set(host="nowhere.invalid"), "no such host is known"),
        (address.set(password="hunter3"), "the server refused the user or the password; correct them"),
        (address.set(username="nobody-here"), "the server refused the user or the password; correct them"),
        (address.set(database="nothing"), "the server has no such database; create it"),
    ):
        with pytest.raises(StoreError, match=way_out) as caught:
            Store(wrong.render_as_string(hide_password=False), tmp_path, create=True)
        assert "hunter" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_read_only_server_is_one_sentence(store: Store, url: str, tmp_path: Path):
    with store.writing() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")
    standby = Store(url, tmp_path)
    with pytest.raises(StoreError, match="the server is read-only, perhaps a standby"), standby.writing() as conn:
        exchanges.add(conn, [exchange("e")])
    with standby.reading() as conn:
        assert exchanges.count(conn) == 0
    standby.close()


def test_a_statement_that_the_server_cuts_short_is_one_sentence(store: Store):
    with pytest.raises(StoreError, match="took longer than the server's statement_timeout"), store.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 10").connection.execute(sql("SELECT pg_sleep(10)"))
    with store.writing() as conn:
        exchanges.add(conn, [exchange("e")])


def test_a_server_that_acknowledges_too_early_is_told_not_to(store: Store, url: str, tmp_path: Path):
    with store.writing() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = off")
    opened = Store(url, tmp_path)
    with opened.writing() as conn:
        assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    opened.close()


async def test_a_server_that_stops_undoes_what_was_under_way_and_is_used_again_when_it_is_back(
    store: Store, postgres: Postgres
):
    writer = GroupWriter(store)
    await writer.write([exchange("before")])

    def write_while_it_stops() -> None:
        with store.writing() as conn:
            exchanges.add(conn, [exchange("under way")])
            postgres.stop()
            exchanges.add(conn, [exchange("too late")])

    try:
        with pytest.raises(StoreError, match="the server stopped or restarts"):
            write_while_it_stops()
        for _ in range(2):
            with pytest.raises(StoreError, match="no server listens there"):
                await writer.write([exchange("down")])
    finally:
        postgres.start()
    await writer.write([exchange("after")])
    writer.close()
    with store.reading() as conn:
        assert [row.id for _, row in exchanges.up_to(conn, 99)] == ["before", "after"]


async def test_a_restart_between_two_uses_is_not_noticed(store: Store, postgres: Postgres):
    writer = GroupWriter(store)  # which holds its connection
    await writer.write([exchange("before")])
    with store.writing() as conn:
        releases.add(conn, RELEASE, "t", "made")
    postgres.stop()
    postgres.start()
    await writer.write([exchange("after")])
    writer.close()
    with store.reading() as conn:
        assert releases.all_releases(conn) == [RELEASE]


def test_a_full_disk_is_one_sentence_and_the_store_works_again_with_space(
    postgres: Postgres, small_disk: SmallDisk, tmp_path: Path
):
    shutil.chown(small_disk.folder, ordinary_user())
    url = postgres.database(on=small_disk.folder)
    store = Store(url, tmp_path, create=True)
    text = os.urandom(300_000).hex()  # which does not compress to nothing
    wrote = 0

    def fill() -> None:
        nonlocal wrote
        while wrote < 100:
            with store.writing() as conn:
                exchanges.add(conn, [exchange(f"e{wrote}", text), exchange(f"f{wrote}", text)])
            wrote += 1

    with pytest.raises(StoreError, match="the disk is full; free some space and try again"):
        fill()
    with store.reading() as conn:
        assert exchanges.count(conn) == 2 * wrote
    small_disk.grow()
    with store.writing() as conn:
        exchanges.add(conn, [exchange("after", text)])
    with store.reading() as conn:
        assert exchanges.count(conn) == 2 * wrote + 1
    store.close()
    postgres.drop(url)
