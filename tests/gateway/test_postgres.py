"""The gateway over a real Postgres: it records, and outlives a restart of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from loopwise.release.transitions import promote, register
from loopwise.store import Store, feedback
from loopwise.types import Exchange, Feedback, Release
from postgres_server import Postgres

CHAT = {"model": "loopwise", "user": "ada", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def store(postgres_database: Callable[..., str], tmp_path: Path) -> Iterator[Store]:
    store = Store(postgres_database(), tmp_path, create=True, lock_timeout_s=3)
    register(store, Release("tiny@0", "candidate", None, None, "sha256:00", "models/tiny@0", 1.0), "test", "made")
    promote(store, "tiny@0", "test", "the base")
    yield store
    store.close()


def said(store: Store) -> dict[str, Feedback]:
    with store.reading() as conn:
        return {row.kind: row for _, row in feedback.up_to(conn, 99)}


def test_exchanges_feedback_and_what_use_shows_are_recorded(
    gateway: str, store: Store, recorded: Callable[[], list[Exchange]]
):
    first = httpx.post(f"{gateway}/v1/chat/completions", json=CHAT)
    streamed = httpx.post(f"{gateway}/v1/chat/completions", json={**CHAT, "stream": True})
    assert streamed.text.endswith("data: [DONE]\n\n")
    thumb = {"exchange_id": first.json()["id"], "kind": "thumbs", "value": 1, "user": "ada"}
    assert httpx.post(f"{gateway}/v1/feedback", json=thumb).status_code == 200
    assert httpx.post(f"{gateway}/v1/feedback", json={**thumb, "exchange_id": "later"}).status_code == 202
    one, two = recorded()
    assert (one.id, one.request["messages"], one.response) == (first.json()["id"], CHAT["messages"], first.json())
    kinds = said(store)
    assert kinds["regenerate"].exchange_id == one.id  # the same conversation again
    assert kinds["thumbs"].user == one.user == two.user


def test_a_restart_of_the_server_costs_no_answer(
    gateway: str, store: Store, postgres: Postgres, recorded: Callable[[], list[Exchange]]
):
    assert httpx.post(f"{gateway}/v1/chat/completions", json=CHAT).headers["x-loopwise-recorded"] == "true"
    postgres.stop()
    try:
        answer = httpx.post(f"{gateway}/v1/chat/completions", json=CHAT)
        assert (answer.status_code, answer.headers["x-loopwise-recorded"]) == (200, "false")
        refused = httpx.post(f"{gateway}/v1/feedback", json={"exchange_id": "e", "kind": "thumbs", "value": 1})
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert "hunter2" not in refused.text
        assert httpx.get(f"{gateway}/healthz").status_code == 200
    finally:
        postgres.start()
    again = httpx.post(f"{gateway}/v1/chat/completions", json=CHAT)
    assert (again.status_code, again.headers["x-loopwise-recorded"]) == (200, "true")
    assert [row.id for row in recorded()][1:] == [again.json()["id"]]
