"""Our own export: what is taken out comes back exactly, into the same project and into another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopwise.cli.progress import silent
from loopwise.gateway.identity import pseudonym
from loopwise.store import Store, exchanges, feedback
from loopwise.transfer.bring import import_file
from loopwise.transfer.formats import EXPORTS
from loopwise.types import Exchange, Feedback

EXCHANGE = Exchange(
    id="ex_1", at=1700000000.25, model="loopwise", release="tiny@3", fingerprint="sha256:aa", arm="champion",
    propensity=0.5,
    request={"model": "loopwise", "messages": [{"role": "user", "content": "q \u2028 ü"}], "user": "p1"},
    response={"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]}, status=200, latency_s=0.5,
    first_token_s=0.125, user="p1", episode="e", train=False, error=None, endpoint="chat.completions", store=True,
    upstream_id="up", conversation=-(2**63),
)  # fmt: skip
SAID = [
    Feedback("f1", 1.5, "thumbs", -1, "ex_1", None, 0, "human", "p1", "no", None, {"page": 2}),
    Feedback("f2", 2.5, "rating", 4.5, "ex_1", metadata={"scale": [1.0, 5.0]}, supersedes="f1"),
    Feedback("f3", 3.5, "metric", 1.0, None, "e", metadata={"name": "ok", "boolean": True}, source="judge"),
    Feedback("f4", 4.5, "preference", {"chosen": "x", "rejected": "y"}, "not here"),
    Feedback("f5", 5.5, "follow_up", None, "ex_1", source="implicit"),  # a text that was not to be kept
]


def fill(store: Store) -> None:
    with store.writing() as conn:
        exchanges.add(conn, [EXCHANGE, replace(EXCHANGE, id="ex_2", user=None, response=None, conversation=None)])
        feedback.add(conn, SAID)


def export(store: Store, path: Path, pseudonyms: bool = True) -> Path:
    with store.reading() as conn:
        path.write_text("".join(json.dumps(row) + "\n" for row in EXPORTS["loopwise"](conn, pseudonyms, silent)))
    return path


def content(store: Store) -> Any:
    with store.reading() as conn:
        return list(exchanges.up_to(conn, 99)), list(feedback.up_to(conn, 99))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "other").mkdir()
    store = Store("sqlite:///loopwise.db", tmp_path / "other", create=True)
    yield store
    store.close()


def test_what_is_taken_out_comes_back_exactly(fresh: Store, other: Store, tmp_path: Path):
    fill(fresh)
    path = export(fresh, tmp_path / "out.jsonl")
    done = import_file(other, path, "loopwise", b"another project's key", silent)
    assert (done.exchanges, done.feedback, done.refused) == (2, 5, 0)
    assert content(other) == content(fresh)
    assert export(other, tmp_path / "again.jsonl").read_text() == path.read_text()
    same = import_file(fresh, path, "loopwise", b"k", silent)
    assert (same.exchanges, same.feedback, same.known) == (0, 0, 7)


def test_names_are_hashed_by_a_project_that_keeps_pseudonyms(fresh: Store, other: Store, tmp_path: Path):
    fill(fresh)
    path = export(fresh, tmp_path / "out.jsonl", pseudonyms=False)
    import_file(other, path, "loopwise", b"key", silent)
    found, said = content(other)
    assert {row.user for _, row in found} == {pseudonym("p1", b"key"), None}
    assert found[0][1].request["user"] == pseudonym("p1", b"key")
    assert said[0][1].user == pseudonym("p1", b"key")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "turn"}, "The row's type is none of 'exchange' and 'feedback': 'turn'."),
        ({"value": "up"}, "kind 'thumbs' takes the value 1 or -1; it was 'up'."),
        ({"kind": "applause"}, "kind: Input should be 'thumbs'"),
        ({"at": "noon"}, "at: Input should be a valid number; it was 'noon'."),
        ({"user": "a\0"}, "An id, name or comment holds the character NUL."),
        ({"kind": "rating", "value": 9, "metadata": {"scale": [1, 5]}}, "the rating 9.0 lies outside its scale"),
    ],
)
def test_a_row_that_was_changed_for_the_worse_is_told(other: Store, tmp_path: Path, change: Any, reason: str):
    good = {"type": "feedback", **vars(SAID[0])}
    path = tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (good, {**good, "id": "f9", **change})))
    done = import_file(other, path, "loopwise", None, silent)
    assert (done.feedback, done.refused, done.told[0].line) == (1, 1, 2)
    assert done.told[0].reason.startswith(reason)


def test_a_record_that_no_database_holds_does_not_take_its_neighbors_with_it(other: Store, tmp_path: Path):
    rows = [{"type": "exchange", **vars(EXCHANGE), "id": id, "conversation": hash} for id, hash in
            (("a", 1), ("b", 2**70), ("c", 3))]  # fmt: skip
    path = tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = import_file(other, path, "loopwise", None, silent)
    assert [exchange.id for _, exchange in content(other)[0]] == ["a", "c"]
    assert (done.exchanges, done.refused, done.told[0].line) == (2, 1, 2)
    assert "cannot be stored" in done.told[0].reason


def test_an_export_of_a_newer_version_is_not_guessed_at(other: Store, tmp_path: Path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"type": "loopwise", "version": 2}\n{"type": "feedback"}\n')
    done = import_file(other, path, "loopwise", None, silent)
    assert [row.reason for row in done.told] == ["The export has version 2; known is 1."]
