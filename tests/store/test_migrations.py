"""A store of an earlier version is upgraded when it is opened, and keeps its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, inspect, text

from loopwise.store import Store, attempts, database, engines, exchanges, feedback, releases
from loopwise.store.schema import metadata
from loopwise.types import Exchange, Feedback, Release

# Rows as version 0001 wrote them, by table; JSON as text, which both databases take.
ROWS: dict[str, dict[str, Any]] = {
    "exchanges": {
        "id": "e", "at": 1.0, "model": "loopwise", "release": "a@1", "fingerprint": "sha256:aa", "arm": "champion",
        "propensity": 1.0, "request": '{"messages": [{"role": "user", "content": "gr\\u00fc\\u00df"}]}',
        "response": "null", "status": 499, "latency_s": 0.5, "first_token_s": None, "user": "u", "episode": "p",
        "train": True, "error": None,
    },
    "feedback": {
        "id": "f", "at": 2.0, "kind": "correction", "value": '"42"', "exchange_id": "e", "episode_id": None,
        "choice": 0, "source": "human", "user": "u", "comment": None, "supersedes": None, "metadata": "{}",
    },
    "problems": {
        "key": "k", "source": "s", "messages": "[]", "reference": None, "verifier": "exact", "segment": "",
        "metadata": "{}",
    },
    "chunks": {"turn": 1, "index": 0, "seed": 2**40, "release": "a@1", "fingerprint": "sha256:aa", "at": 3.0},
    "attempts": {
        "turn": 1, "chunk": 0, "problem_key": "k", "index": 0, "text": "t", "finish_reason": "stop", "tokens": 3,
        "logprob": None, "score": 1.0, "reason": "right", "failed": False,
    },
    "releases": {
        "name": "a@1", "state": "champion", "parent": None, "dataset": None, "fingerprint": "sha256:aa",
        "path": "models/a@1", "at": 4.0,
    },
}  # fmt: skip


def old_store(url: str, root: Path) -> None:
    """A store of version 0001, with a row in each of the tables that have since changed, and in some that have not."""
    engine = engines.open_engine(engines.address(url, root), 5)
    migrations = database._migrations(engine)
    with engine.begin() as conn:
        migrations.attributes["connection"] = conn
        command.upgrade(migrations, "0001")
        for table, row in ROWS.items():
            columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
            conn.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({marks})"), row)
    engine.dispose()


def test_a_store_of_the_first_version_is_upgraded_and_keeps_its_rows(store_url: str, tmp_path: Path):
    old_store(store_url, tmp_path)
    store = Store(store_url, tmp_path)
    request = {"messages": [{"role": "user", "content": "grüß"}]}
    kept = Exchange(
        "e", 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, request, None, 499, 0.5, user="u", episode="p"
    )
    with store.writing() as conn:
        assert list(exchanges.up_to(conn, 99)) == [(1, kept)]
        assert (kept.endpoint, kept.store, kept.upstream_id, kept.conversation) == (
            "chat.completions",
            True,
            None,
            None,
        )
        assert list(feedback.up_to(conn, 99)) == [(1, Feedback("f", 2.0, "correction", "42", "e", user="u"))]
        assert [group.attempts[0].text for _, group in attempts.up_to(conn, 1)] == ["t"]
        assert releases.champion(conn) == Release("a@1", "champion", None, None, "sha256:aa", "models/a@1", 4.0)
        exchanges.add(conn, [kept, Exchange(**{**vars(kept), "id": "e2", "conversation": -(2**63)})])
        assert [seq for seq, _ in exchanges.up_to(conn, 99)][:1] == [1]
        assert exchanges.latest_of_episodes(conn, ["p"]) == {"p": ("e2", 1.0)}
    store.close()


def test_processes_that_start_together_upgrade_once(store_url: str, tmp_path: Path):
    old_store(store_url, tmp_path)
    opened: list[Store] = []
    threads = [Thread(target=lambda: opened.append(Store(store_url, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for store in opened:
        with store.reading() as conn:
            assert exchanges.count(conn) == 1
        store.close()


def test_the_migrations_make_the_same_columns_and_indexes_as_the_tables_that_the_code_declares(
    store_url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    old_store(store_url, tmp_path)
    Store(store_url, tmp_path).close()
    declared_url = "sqlite:///declared.db"
    if not store_url.startswith("sqlite"):
        make: Callable[[], str] = request.getfixturevalue("postgres_database")
        declared_url = make()
    migrated, declared = (engines.open_engine(engines.address(url, tmp_path), 5) for url in (store_url, declared_url))
    metadata.create_all(declared)
    assert reflected(migrated) == reflected(declared)
    for engine in (migrated, declared):
        engine.dispose()


def reflected(engine: Engine) -> dict[str, Any]:
    found = inspect(engine)
    return {
        table: {
            "columns": sorted(
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(table)
            ),
            "indexes": sorted(
                (index["name"], index["column_names"], bool(index["unique"]), str(_where(index)))
                for index in found.get_indexes(table)
            ),
            "keys": (found.get_pk_constraint(table)["constrained_columns"], found.get_unique_constraints(table)),
            "foreign": [key["referred_table"] for key in found.get_foreign_keys(table)],
        }
        for table in metadata.tables
    }


def _where(index: Any) -> str | None:
    options = index.get("dialect_options", {})
    return options.get("sqlite_where", options.get("postgresql_where"))
