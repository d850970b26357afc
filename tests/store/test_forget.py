"""Forgetting a person: their text is nowhere, others keep theirs, and what was killed is finished by the next call."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import event, select

from loopwise.curate.parquet import write
from loopwise.errors import ForgottenError, StoreError, UnknownNameError
from loopwise.store import (
    Store,
    artifacts,
    exchanges,
    feedback,
    forget as forgetting,
    journal,
    leases,
    lineage,
    releases,
)
from loopwise.store.forget import Affected, forget, recorded
from loopwise.store.schema import metadata, quarantine
from loopwise.types import Example, Exchange, Feedback, Release

PLANTED = "the heron stands by the weir"
OTHER = "what somebody else said"


def exchange(name: str, user: str | None, text: str = PLANTED, **fields: object) -> Exchange:
    request = {"model": "loopwise", "messages": [{"role": "user", "content": text}]}
    response = {"id": name, "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    row = Exchange(name, 1.0, "loopwise", "a@1", "sha256:aa", "champion", 1.0, request, response, 200, 0.1, user=user)
    return replace(row, **fields)  # type: ignore[arg-type]


def said(name: str, about: str | None, user: str | None, text: str = PLANTED, **fields: object) -> Feedback:
    return replace(Feedback(name, 2.0, "correction", text, about, user=user, comment=text), **fields)  # type: ignore[arg-type]


def ids(store: Store) -> tuple[set[str], set[str]]:
    with store.reading() as conn:
        return {row.id for _, row in exchanges.up_to(conn, 10**6)}, {row.id for _, row in feedback.up_to(conn, 10**6)}


def says(store: Store, text: str = PLANTED) -> bool:
    """Whether a text is anywhere: in a row of any table, in a byte of any file, or in a row of a dataset."""
    import pyarrow.parquet as pq

    with store.reading() as conn:
        rows = [str(dict(row)) for table in metadata.tables.values() for row in conn.execute(select(table)).mappings()]
    files = [path for path in store.root.rglob("*") if path.is_file()]
    tables = [pq.read_table(path) for path in files if path.read_bytes()[:4] == b"PAR1"]  # which may be compressed
    return (
        any(text in row for row in rows)
        or any(text.encode() in path.read_bytes() for path in files)
        or any(text in json.dumps(table.to_pylist()) for table in tables)
    )


def people(store: Store) -> None:
    """u1 and u2 with an exchange each, and everything that can be said of one."""
    with store.writing() as conn:
        exchanges.add(conn, [exchange("e1", "u1", episode="own"), exchange("e2", "u2", OTHER, episode="shared")])
        exchanges.add(conn, [exchange("e3", "u1", episode="shared", at=3.0)])
        exchanges.add(conn, [exchange("e4", "u2", OTHER, episode="shared", at=4.0)])
        exchanges.add(conn, [exchange("e5", None, OTHER)])
        feedback.add(
            conn,
            [
                said("theirs on their own", "e1", "u1"),
                said("theirs on another's", "e2", "u1"),
                said("another's on theirs", "e1", "u2"),
                said("another's on another's", "e2", "u2", OTHER),
                said("nobody's on theirs", "e1", None),
                said("of their own episode", None, "u2", episode_id="own"),
                said("of a shared episode when another's was its last", None, "u2", OTHER, episode_id="shared", at=4.5),
                said("of a shared episode when theirs was its last", None, "u2", episode_id="shared", at=3.5),
                Feedback("seen_follow_up_e3", 1.0, "follow_up", None, "e2", "shared", source="implicit", user="u1"),
                Feedback("seen_follow_up_e4", 1.0, "follow_up", None, "e3", "shared", source="implicit", user="u2"),
            ],
        )
        row = {"out": True, "at": 1.0, "who": "op", "why": PLANTED}
        conn.execute(quarantine.insert(), [{**row, "user": "u1"}, {**row, "user": "u2", "why": OTHER}])


def dataset(store: Store, *rows: tuple[str, str | None, tuple[str, ...]], turn: int = 1) -> str:
    """Of (text, person, provenance)."""
    made = [
        Example(({"role": "user", "content": text},), text, "demonstration", "people", provenance, user=user)
        for text, user, provenance in rows
    ]
    found = write(made, {"kept": len(rows)}, store.root / "datasets")
    with store.writing() as conn:
        artifacts.add_dataset(conn, found, turn, store.root)
    return found.name


def test_their_rows_go_with_what_was_said_of_them_and_others_stay(store: Store):
    people(store)
    done = forget(store, ["u1"], 9.0)
    assert ids(store) == (
        {"e2", "e4", "e5"},
        {"another's on another's", "of a shared episode when another's was its last"},
    )
    assert done.removed == {"exchanges": 2, "feedback": 8, "quarantine": 1, "datasets": 0}
    assert done.wiped
    assert not says(store)
    assert says(store, OTHER)


def test_their_text_is_in_no_file_whatever_the_sizes_and_the_order(store: Store):
    for first in range(0, 240, 40):
        with store.writing() as conn:
            rows = range(first, first + 40)
            exchanges.add(conn, [exchange(f"e{n}", f"u{n % 3}", f"{PLANTED} {n % 3} " * (n * 7 % 300)) for n in rows])
            feedback.add(conn, [said(f"f{n}", f"e{n}", f"u{n % 3}", f"{PLANTED} {n % 3}") for n in rows])
    assert forget(store, ["u1"], 9.0).removed == {"exchanges": 80, "feedback": 80, "quarantine": 0, "datasets": 0}
    assert not says(store, f"{PLANTED} 1")
    assert says(store, f"{PLANTED} 2")
    forget(store, ["u2"], 9.0)
    forget(store, ["u0"], 9.0)
    assert not says(store)


def test_datasets_with_their_rows_are_listed_and_lose_the_text_and_keep_the_lineage(store: Store):
    people(store)
    theirs, on_theirs = (PLANTED, "u1", ("e2", "theirs on another's")), (PLANTED, "u2", ("e1", "another's on theirs"))
    touched = dataset(store, theirs, on_theirs, (OTHER, "u2", ("e2", "another's on another's")))
    untouched = dataset(store, (OTHER, "u2", ("e2", "another's on another's")), turn=2)
    with store.writing() as conn:
        for at, (name, parent, trained_on) in enumerate(
            [("t@0", None, None), ("t@1", "t@0", touched), ("t@2", "t@1", untouched), ("t@3", "t@0", untouched)]
        ):
            releases.add(conn, Release(name, "retired", parent, trained_on, "sha256:f", name, float(at)), "t", "t")
    done = forget(store, ["u1"], 9.0)
    assert done.affected == [Affected(touched, 2, ("t@1",), ("t@2",))]
    assert done.removed["datasets"] == 1
    assert not says(store)
    with store.reading() as conn:
        kept = artifacts.dataset(conn, touched, store.root)
        assert kept.manifest == {"kept": 3, "rows": 3}
        assert artifacts.dataset(conn, untouched, store.root).path.exists()
    assert not kept.path.exists()
    rows = lineage.resting_on(kept.path, ["e2"], ["u2"])
    assert rows.people == {"u2": 2}
    assert {row.provenance for row in rows.first if row.user is None} == {("e2", "theirs on another's")}
    assert forget(store, ["u2"], 9.0).affected[0] == Affected(touched, 3, ("t@1",), ("t@2",))
    assert lineage.people_rows(kept.path).count == 0


def test_what_is_said_later_of_a_forgotten_exchange_is_refused_and_its_return_too(store: Store):
    people(store)
    forget(store, ["u1"], 9.0)
    for about in ("e1", "e3"):
        sentence = f"The exchange '{about}' went with a person who was forgotten"
        with pytest.raises(ForgottenError, match=sentence), store.writing() as conn:
            feedback.add(conn, [said("later", about, "u2"), said("fine", "e2", "u2")])
    with store.writing() as conn:
        assert feedback.add(conn, [said("later", "e2", "u2", OTHER), said("early", "not yet", "u2", OTHER)]) == {"e2"}
    assert not says(store)


def _killed(url: str, root: Path, commits: int) -> None:
    """Forgets u1 in this process, which ends without warning instead of the commit after so many."""
    store, left = Store(url, root), [commits]

    def count(_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

    event.listen(store.engine, "commit", count)
    forget(store, ["u1"], 9.0)


@pytest.mark.parametrize("commits", [1, 4, 6, 9])
def test_killed_at_any_point_the_next_call_finishes_and_tells_the_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, commits: int
):
    monkeypatch.setattr(forgetting, "ROWS", 1)
    people(store)
    name = dataset(store, (PLANTED, "u2", ("e1", "another's on theirs")), (OTHER, "u2", ("e2",)))
    process = get_context("fork").Process(target=_killed, args=(store.url, store.root, commits))
    process.start()
    process.join()
    assert process.exitcode == 9
    with store.reading() as conn:
        assert recorded(conn, ["u0", "u1"]) == ["u1"]
    done = forget(store, ["u1"], 9.0)
    assert done.removed == {"exchanges": 2, "feedback": 8, "quarantine": 1, "datasets": 1}
    assert done.affected == [Affected(name, 1, (), ())]
    assert not says(store)
    with pytest.raises(UnknownNameError, match="Nothing is recorded under 'u1'"):
        forget(store, ["u1"], 9.0)


def test_a_reader_of_an_old_state_is_told_and_the_next_call_ends_it(sqlite_store: Store):
    people(sqlite_store)
    with sqlite_store.reading() as conn:
        assert exchanges.count(conn) == 5
        assert not forget(sqlite_store, ["u1"], 9.0).wiped
    assert forget(sqlite_store, ["u1"], 9.0).wiped
    assert not says(sqlite_store)


def test_no_turn_runs_meanwhile_and_one_that_was_cut_short_curates_again(store: Store):
    people(store)
    name = dataset(store, (PLANTED, "u1", ("e1", "theirs on their own")))
    (store.root / "datasets" / ".12ab.77.partial").write_text(PLANTED)  # what a killed curation leaves
    with store.writing() as conn:
        journal.write(conn, 1, "gather", "done", {"feedback": 9})
        journal.write(conn, 1, "curate", "done", {"dataset": name})
        leases.take(conn, "turn", "another-machine:1", 60.0)
    with pytest.raises(StoreError, match="another-machine:1"):
        forget(store, ["u1"], 9.0)
    with store.writing() as conn:
        leases.take(conn, "turn", "another-machine:1", -1.0)
    forget(store, ["u1"], 9.0)
    assert not says(store)
    with store.reading() as conn:
        assert journal.done(conn, 1) == {"gather": {"feedback": 9}}
    with store.writing() as conn:
        journal.write(conn, 1, "curate", "done", {"dataset": "new"})
    with store.reading() as conn:
        assert journal.done(conn, 1)["curate"] == {"dataset": "new"}


def test_a_dataset_whose_file_expired_is_told_as_one_that_nobody_can_tell(store: Store, tmp_path: Path):
    people(store)
    name = dataset(store, (PLANTED, "u1", ("e1",)))
    (tmp_path / "datasets" / f"{name.removeprefix('sha256:')}.parquet").unlink()
    done = forget(store, ["u1"], 9.0)
    assert (done.affected, done.unknown) == ([], [name])
