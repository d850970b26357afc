"""Opening a store: migrations, versions, and the sentences for what can be wrong outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from loopwise.errors import MissingExtraError, SettingsError, StoreError
from loopwise.store import Store, engines, releases
from loopwise.store.schema import metadata
from loopwise.types import Release

URL = "sqlite:///loopwise.db"
RELEASE = Release("a@1", "candidate", None, None, "sha256:aa", "models/a@1", 1.0)


def test_the_migrations_lead_to_the_tables_that_the_code_declares(store: Store):
    with store.reading() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert set(metadata.tables) | {"alembic_version"} <= set(inspect(conn).get_table_names())


def test_the_database_itself_refuses_a_second_champion(store: Store):
    with store.writing() as conn:
        releases.add(conn, RELEASE, "t", "made")
        releases.set_state(conn, RELEASE, "champion", "t", "promoted")
    other = Release("a@2", "champion", None, None, "sha256:bb", "models/a@2", 2.0)
    with (
        pytest.raises(StoreError, match=r"UNIQUE constraint failed|violates unique constraint"),
        store.writing() as conn,
    ):
        releases.add(conn, other, "t", "made")


def test_what_is_written_is_there_after_reopening(store_url: str, tmp_path: Path):
    first = Store(store_url, tmp_path, create=True)
    with first.writing() as conn:
        releases.add(conn, RELEASE, "t", "made")
    first.close()
    second = Store(store_url, tmp_path)
    with second.reading() as conn:
        assert releases.all_releases(conn) == [RELEASE]
    second.close()


def test_a_block_that_raises_writes_nothing(store: Store):
    def write_and_fail() -> None:
        with store.writing() as conn:
            releases.add(conn, RELEASE, "t", "made")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with store.reading() as conn:
        assert releases.all_releases(conn) == []


def test_a_reader_keeps_its_snapshot_and_does_not_block_the_writer(store: Store):
    with store.reading() as old:
        assert releases.all_releases(old) == []
        with store.writing() as conn:
            releases.add(conn, RELEASE, "t", "made")
        assert releases.all_releases(old) == []
    with store.reading() as new:
        assert releases.all_releases(new) == [RELEASE]


def test_sqlite_runs_with_a_log_and_syncs_fully(sqlite_store: Store):
    with sqlite_store.reading() as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert conn.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert conn.exec_driver_sql("PRAGMA secure_delete").scalar() == 1


def test_a_store_of_a_newer_version_is_refused(store: Store, store_url: str, tmp_path: Path):
    with store.writing() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"version '9999', newer than this Loopwise knows \('\d+'\): upgrade"):
        Store(store_url, tmp_path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "loopwise.db").write_text("dear diary, " * 100)
    with pytest.raises(StoreError, match=r"file is not a database\): the file is damaged or is no SQLite file"):
        Store(URL, tmp_path)
    assert (tmp_path / "loopwise.db").read_text() == "dear diary, " * 100


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path):
    with pytest.raises(StoreError, match="run 'loopwise init' there first"):
        Store(URL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(StoreError, match="its folder is missing or cannot be written"):
        Store("sqlite:///deep/er/loopwise.db", tmp_path, create=True)


def test_a_folder_that_cannot_be_written_is_one_sentence():
    code = (
        "import os, pathlib, sys\n"
        "from loopwise.errors import StoreError\n"
        "from loopwise.store import Store\n"
        "if os.getuid() == 0: os.setuid(65534)  # root may write anywhere\n"
        "try: Store('sqlite:///loopwise.db', pathlib.Path(sys.argv[1]), create=True)\n"
        "except StoreError as error: print(error)"
    )
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert "its folder is missing or cannot be written; create it or change [store] url." in done.stdout


def test_a_store_that_another_process_holds_is_waited_for_and_then_named(store_url: str, tmp_path: Path):
    patient = Store(store_url, tmp_path, create=True)
    impatient = Store(store_url, tmp_path, lock_timeout_s=0.05)
    with patient.writing() as conn:
        releases.add(conn, RELEASE, "t", "made")
        with pytest.raises(StoreError, match="another process holds its write lock"), impatient.writing():
            pass
        with impatient.reading() as other:
            assert releases.all_releases(other) == []
    with impatient.writing() as conn:
        releases.set_state(conn, RELEASE, "shadow", "t", "tried")
    for store in (patient, impatient):
        store.close()


def test_an_existing_database_without_a_store_is_not_filled_by_looking(store_url: str, tmp_path: Path):
    if store_url.startswith("sqlite"):
        (tmp_path / "loopwise.db").touch()
    with pytest.raises(StoreError, match=r"There is no store in .* yet: run 'loopwise init' first"):
        Store(store_url, tmp_path)
    assert not inspect(create_engine(engines.address(store_url, tmp_path))).get_table_names()


def test_a_damaged_file_is_one_sentence(sqlite_store: Store, tmp_path: Path):
    with sqlite_store.writing() as conn:
        releases.add(conn, RELEASE, "t", "made")
    sqlite_store.close()  # which folds the log into the file
    path = tmp_path / "loopwise.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="the file is damaged; restore a backup"):
        Store(URL, tmp_path)


def test_damage_that_shows_later_is_one_sentence_too(sqlite_store: Store, tmp_path: Path):
    with sqlite_store.writing() as conn:
        for n in range(300):
            releases.add(conn, replace(RELEASE, name=f"a@{n}", path="x" * 2_000), "t", "made")
    sqlite_store.wipe()
    with (tmp_path / "loopwise.db").open("r+b") as file:
        file.seek(4096 * 100)
        file.write(b"\xff" * 4096 * 40)
    opened = Store(URL, tmp_path)  # its first pages are whole
    with pytest.raises(StoreError, match="the file is damaged; restore a backup"), opened.reading() as conn:
        releases.all_releases(conn)
    opened.close()


def test_nothing_is_acknowledged_that_goes_into_a_file_which_was_taken_away(sqlite_store: Store, tmp_path: Path):
    def write(name: str) -> None:
        with sqlite_store.writing() as conn:
            releases.add(conn, replace(RELEASE, name=name), "t", "made")

    write("a@1")
    sqlite_store.wipe()
    file, away = tmp_path / "loopwise.db", tmp_path / "away.db"
    copy = file.read_bytes()
    file.rename(away)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"loopwise\.db was moved, removed or replaced while it was in use"):
            write("a@2")
    assert not file.exists()
    file.write_bytes(copy)
    for log in tmp_path.glob("loopwise.db-*"):
        log.unlink()
    with pytest.raises(StoreError, match="was moved, removed or replaced"):
        write("a@2")
    write("a@3")  # on the file that is there now
    with sqlite_store.reading() as conn:
        assert [found.name for found in releases.all_releases(conn)] == ["a@1", "a@3"]


@pytest.mark.parametrize("url", ["", "loopwise.db", "nonsense", "postgresql+psycopg://me:hunter2@h:port/"])
def test_an_address_that_is_none_is_a_wrong_setting(tmp_path: Path, url: str):
    with pytest.raises(SettingsError, match=r"\[store\] url = .* is not a database address") as caught:
        Store(url, tmp_path, create=True)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_neither_sqlite_nor_postgres_is_a_wrong_setting(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"'mysql://me:\*\*\*@db/x' names a database that Loopwise does not know"):
        Store("mysql://me:hunter2@db/x", tmp_path, create=True)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_store_that_would_not_last_is_a_wrong_setting(tmp_path: Path, url: str):
    with pytest.raises(SettingsError, match="names no file, and a store has to last"):
        Store(url, tmp_path, create=True)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_is_understood(tmp_path: Path, scheme: str):
    found = engines.address(f"{scheme}://me@db/x", tmp_path)
    assert found.render_as_string() == "postgresql+psycopg://me@db/x"


def test_postgres_without_its_driver_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'loopwise[postgres]'")):
        Store("postgresql+psycopg://me@db/x", tmp_path)
