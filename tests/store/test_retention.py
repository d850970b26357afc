"""Consent and retention: text that must not be kept is nowhere, and what was counted still counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select

from loopwise.config import SignalSettings
from loopwise.curate.examples import from_people
from loopwise.errors import StoreError
from loopwise.signals import about, weigh
from loopwise.store import Store, artifacts, attempts, exchanges, feedback, retention
from loopwise.store.retention import Expired, expire, keep_expiring
from loopwise.store.schema import datasets, metadata
from loopwise.types import Attempt, Dataset, Exchange, Feedback, Judged, Marks, Problem, Verdict

PLANTED = "the heron stands by the weir"
DAY = 86_400.0
NOW = 1_000 * DAY


@dataclass(frozen=True)
class Days:
    exchanges: float | None = None
    feedback: float | None = None
    attempts: float | None = None
    datasets: float | None = None


def exchange(name: str, **fields: object) -> Exchange:
    request = {"model": "loopwise", "temperature": 0.5, "messages": [{"role": "user", "content": PLANTED}]}
    choices = [{"index": 0, "message": {"role": "assistant", "content": PLANTED}, "finish_reason": "stop"}]
    response = {"id": name, "choices": choices, "usage": {"total_tokens": 7}}
    row = Exchange(name, NOW, "loopwise", "a@1", "sha256:aa", "champion", 1.0, request, response, 200, 0.1)
    return replace(row, **fields)  # type: ignore[arg-type]


def textless(name: str, **fields: object) -> Exchange:
    return exchange(
        name,
        request={"model": "loopwise", "messages": [{"role": "user"}]},
        response={"id": name, "choices": [{"index": 0, "finish_reason": "stop"}]},
        train=False,
        store=False,
        **fields,
    )


def opinions(about: str, **fields: object) -> list[Feedback]:
    """One of each kind that can hold text, and two that are numbers."""
    values = {
        "correction": PLANTED, "edit": PLANTED, "comment": PLANTED, "follow_up": PLANTED, "copy": PLANTED,
        "preference": {"chosen": PLANTED, "rejected": "not " + PLANTED}, "thumbs": 1, "rating": 4.5,
    }  # fmt: skip
    made = {"comment": PLANTED, "metadata": {"tag": PLANTED, "scale": [1, 5], PLANTED: 1}, "user": "u1"}
    return [
        replace(Feedback(f"{about}-{kind}", NOW, kind, value, about, **made), **fields)  # type: ignore[arg-type]
        for kind, value in values.items()
    ]


def says(store: Store) -> bool:
    """Whether the planted sentence is anywhere: in a row of any table, or in a byte of any file."""
    with store.reading() as conn:
        rows = [str(dict(row)) for table in metadata.tables.values() for row in conn.execute(select(table)).mappings()]
    files = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    return any(PLANTED in row for row in rows) or any(PLANTED.encode() in content for content in files)


def stored(store: Store) -> dict[str, Feedback]:
    with store.reading() as conn:
        return {row.id: row for _, row in feedback.up_to(conn, 10_000)}


@pytest.mark.parametrize("first", ["exchange", "feedback"])
def test_feedback_on_an_exchange_whose_text_is_not_kept_keeps_none_whichever_comes_first(store: Store, first: str):
    steps = [
        lambda conn: exchanges.add(conn, [textless("e")]),
        lambda conn: feedback.add(conn, opinions("e")),
    ]
    for step in steps if first == "exchange" else reversed(steps):
        with store.writing() as conn:
            step(conn)
    expire(store, Days(), NOW)
    assert not says(store)
    kept = stored(store)
    assert kept["e-thumbs"] == Feedback("e-thumbs", NOW, "thumbs", 1, "e", user="u1", metadata={"scale": [1, 5]})
    assert kept["e-rating"].value == 4.5
    assert kept["e-correction"].value is None
    assert kept["e-preference"].value == {"chosen": None, "rejected": None}


@pytest.mark.parametrize("first", ["exchange", "feedback"])
def test_what_is_said_of_an_episode_keeps_no_text_once_an_exchange_of_it_does_not(store: Store, first: str):
    said = opinions("p", exchange_id=None, episode_id="p")
    steps = [
        lambda conn: exchanges.add(conn, [exchange("e1", episode="p", request={}, response=None)]),
        lambda conn: exchanges.add(conn, [textless("e2", episode="p")]),
        lambda conn: feedback.add(conn, said),
    ]
    for step in steps if first == "exchange" else reversed(steps):
        with store.writing() as conn:
            step(conn)
    expire(store, Days(), NOW)
    assert not says(store)
    assert len(stored(store)) == len(said)


def test_a_neighbor_keeps_its_text(store: Store):
    with store.writing() as conn:
        exchanges.add(conn, [textless("e"), exchange("n", episode="p")])
        feedback.add(conn, [*opinions("e"), *opinions("n"), *opinions("later")])
    expire(store, Days(exchanges=1, feedback=1), NOW)
    kept = stored(store)
    assert {kept[f"{about}-correction"].value for about in ("n", "later")} == {PLANTED}
    assert kept["n-copy"] == opinions("n")[4]
    with store.reading() as conn:
        assert exchanges.get(conn, "n") == exchange("n", episode="p")


def test_text_expires_by_table_and_what_counts_stays(store: Store):
    old = NOW - 31 * DAY
    with store.writing() as conn:
        exchanges.add(conn, [exchange("old", at=old, error=PLANTED, status=502), exchange("new", request={})])
        feedback.add(conn, opinions("old", at=old))
    assert expire(store, Days(exchanges=30, feedback=32), NOW) == Expired(exchanges=1)
    assert says(store)
    assert expire(store, Days(exchanges=30, feedback=30), NOW) == Expired(feedback=8)
    assert expire(store, Days(exchanges=30, feedback=30), NOW) == Expired()
    with store.reading() as conn:
        found = exchanges.get(conn, "old")
        assert exchanges.count_by_release(conn) == {"a@1": 2}
        assert sum(feedback.count_by_kind(conn).values()) == 8
        assert exchanges.get(conn, "new") == exchange("new", request={})
    assert found == exchange(
        "old",
        at=old,
        status=502,
        request={"model": "loopwise", "temperature": 0.5, "messages": [{"role": "user"}]},
        response={"id": "old", "usage": {"total_tokens": 7}, "choices": [{"index": 0, "finish_reason": "stop"}]},
        error="status 502",
        train=False,
    )


def test_expired_text_is_nowhere_in_the_store_whatever_the_sizes_and_the_order(store: Store):
    """Rows from a few bytes to many pages, old and new mixed, so that pages are split and merged while text goes."""
    for first in range(0, 600, 60):
        rows = [
            exchange(f"e{n}", at=NOW - (n * 37 % 100) * DAY, error=PLANTED * (n % 7 and n * 13 % 400))
            for n in range(first, first + 60)
        ]
        said = [row for one in rows[::3] for row in opinions(one.id, at=one.at)]
        with store.writing() as conn:
            exchanges.add(conn, rows)
            feedback.add(conn, said)
    for days in (90, 60, 30, 10, 0.5):
        expire(store, Days(exchanges=days, feedback=days), NOW)
    assert says(store)  # what is younger than half a day
    assert expire(store, Days(exchanges=0.001, feedback=0.001), NOW + DAY).wiped
    assert not says(store)
    with store.reading() as conn:
        assert exchanges.count(conn) == 600


def test_attempts_and_datasets_expire_and_are_not_trained_on(store: Store, tmp_path: Path):
    problem = Problem("k", "s", ({"role": "user", "content": "1+1"},), "2", "exact")
    tried = Attempt("k", 0, PLANTED, "stop", 3, -1.5, "a@1", "sha256:aa")
    judged = Judged(problem, (tried,), (Verdict(1.0, PLANTED, "exact"),))
    made = Dataset("sha256:dd", tmp_path / "datasets" / "dd.parquet", 1, {"rows": 1})
    made.path.parent.mkdir()
    made.path.write_text(PLANTED)
    with store.writing() as conn:
        attempts.add_chunk(conn, 1, (0, 7), [judged])
        artifacts.add_dataset(conn, made, 1, tmp_path)
    with store.reading() as conn:
        assert [group for _, group in attempts.up_to(conn, 1)] == [judged]
    later = NOW * 1e6  # these two are dated by the clock
    assert expire(store, Days(attempts=1, datasets=1), later) == Expired(attempts=1, datasets=1)
    assert expire(store, Days(attempts=1, datasets=1), later) == Expired()
    assert not says(store)
    with store.reading() as conn:
        assert list(attempts.up_to(conn, 1)) == []
        assert attempts.counts(conn) == {"problems": 1, "attempts": 1}
        assert attempts.chunks_done(conn, 1) == {0}
        assert artifacts.dataset(conn, "sha256:dd", tmp_path) == made


@pytest.mark.parametrize("in_one", [False, True])
def test_a_known_id_brought_again_without_text_takes_no_text_from_what_was_said(store: Store, in_one: bool):
    first, again = exchange("e", episode="p"), textless("e", episode="p")
    said = [*opinions("e"), *opinions("of p", exchange_id=None, episode_id="p")]
    with store.writing() as conn:
        feedback.add(conn, said)
        for rows in [[first, again]] if in_one else [[first], [again]]:
            exchanges.add(conn, rows)
        assert exchanges.get(conn, "e") == first
    assert stored(store) == {row.id: row for row in said}


async def test_a_dataset_that_cannot_be_removed_is_told_and_stops_neither_the_others_nor_the_next_time(
    store: Store, caplog: pytest.LogCaptureFixture
):
    paths = [store.root / name for name in ("folder", "file")]
    paths[0].mkdir()
    paths[1].write_text(PLANTED)
    with store.writing() as conn:
        for turn, path in enumerate(paths):
            artifacts.add_dataset(conn, Dataset(f"d{turn}", path, 1, {}), turn, store.root)
        conn.execute(datasets.update().values(at=1.0))
    with pytest.raises(StoreError, match=r"1 of the datasets .*/folder \(Is a directory\): let their folder"):
        expire(store, Days(datasets=1), NOW)
    assert not says(store)
    task = asyncio.create_task(keep_expiring(store, Days(datasets=1), every_s=0.01))
    async with asyncio.timeout(20):
        while caplog.text.count("has not expired yet: 1 of the datasets") < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_files_are_wiped_where_a_dataset_cannot_be_removed(sqlite_store: Store):
    (sqlite_store.root / "folder").mkdir()
    with sqlite_store.writing() as conn:
        exchanges.add(conn, [exchange("e", at=1.0)])
        artifacts.add_dataset(conn, Dataset("d", sqlite_store.root / "folder", 1, {}), 1, sqlite_store.root)
        conn.execute(datasets.update().values(at=1.0))
    with pytest.raises(StoreError, match="cannot be removed"):
        expire(sqlite_store, Days(exchanges=1, datasets=1), NOW)
    assert not says(sqlite_store)


def test_later_stages_read_expired_rows_and_train_on_none(store: Store):
    with store.writing() as conn:
        exchanges.add(conn, [exchange("e")])
        feedback.add(conn, [replace(row, value="a crane") for row in opinions("e") if row.kind == "correction"])

    def examples() -> list[tuple[str, str, str | None]]:
        with store.reading() as conn:
            found = about(conn, Marks(9, 99), weigh(conn, Marks(9, 99), SignalSettings()))
            return [(example.kind, example.completion, example.rejected) for example in from_people(found)]

    assert examples() == [("demonstration", "a crane", None), ("pair", "a crane", PLANTED)]
    expire(store, Days(feedback=1), NOW + 2 * DAY)
    assert examples() == []
    expire(store, Days(exchanges=1), NOW + 2 * DAY)
    assert examples() == []


def test_expiry_that_is_stopped_goes_on_where_it_stopped(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "ROWS", 10)
    with store.writing() as conn:
        exchanges.add(conn, [exchange(f"e{n}", at=1.0) for n in range(35)])
    stop = Event()
    stop.set()
    assert expire(store, Days(exchanges=1), NOW, stop) == Expired()
    assert expire(store, Days(exchanges=1), NOW) == Expired(exchanges=35)


def test_an_expiry_lets_others_write_in_between(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "ROWS", 1)
    with store.writing() as conn:
        exchanges.add(conn, [exchange(f"e{n}", at=1.0) for n in range(20)])
    running = Thread(target=expire, args=(store, Days(exchanges=1), NOW))
    running.start()
    for n in range(10):
        with store.writing() as conn:
            exchanges.add(conn, [exchange(f"n{n}")])
    assert running.is_alive()
    running.join()
    with store.reading() as conn:
        assert sum(row.train for _, row in exchanges.up_to(conn, 99)) == 10


async def test_the_task_expires_until_it_is_canceled_and_outlives_a_failing_store(
    store: Store, caplog: pytest.LogCaptureFixture
):
    with store.writing() as conn:
        exchanges.add(conn, [exchange("e", at=1.0)])
        conn.exec_driver_sql("ALTER TABLE exchanges RENAME TO away")
    task = asyncio.create_task(keep_expiring(store, Days(exchanges=1), every_s=0.01))
    async with asyncio.timeout(20):
        while "has not expired yet" not in caplog.text:
            await asyncio.sleep(0.01)
        with store.writing() as conn:
            conn.exec_driver_sql("ALTER TABLE away RENAME TO exchanges")
        while says(store):
            await asyncio.sleep(0.01)
    task.cancel()
    assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError


def test_a_reader_of_an_old_state_delays_only_the_wiping(sqlite_store: Store):
    with sqlite_store.writing() as conn:
        exchanges.add(conn, [exchange("e", at=1.0)])
    with sqlite_store.reading() as conn:
        assert exchanges.count(conn) == 1
        assert expire(sqlite_store, Days(exchanges=1), NOW) == Expired(exchanges=1, wiped=False)
    assert expire(sqlite_store, Days(exchanges=1), NOW) == Expired(wiped=True)
    assert not says(sqlite_store)
