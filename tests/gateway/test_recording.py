"""Acknowledged means on disk: what the gateway does when the store fails, the disk is slow, or it is told to stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import openai
import pytest

from loopwise.config import GatewaySettings
from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.types import Exchange
from scripted import Model, serving

Recorded = Callable[[], list[Exchange]]


@pytest.fixture
def strict_gateway(store: Store, model: Model) -> Iterator[str]:
    """One that refuses what it cannot record, in front of a server that is not ours."""
    upstream = Upstream(model.url, None, "openai", "their-model")
    with serving(create_app(store, upstream, settings=GatewaySettings(on_store_failure="refuse"))) as url:
        yield url


def break_store(store: Store) -> None:
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE exchanges RENAME TO away")


def mend_store(store: Store) -> None:
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE away RENAME TO exchanges")


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "loopwise", "messages": [{"role": "user", "content": text}], **more}


def test_an_answer_that_cannot_be_recorded_is_refused_where_that_is_set_and_comes_again_by_itself(
    strict_gateway: str, store: Store, recorded: Recorded
):
    url = f"{strict_gateway}/v1/chat/completions"
    assert httpx.post(url, json=body("hi")).status_code == 200
    break_store(store)
    refused = httpx.post(url, json=body("hi"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_recorded")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-loopwise-recorded"] == "false"
    assert "hears" not in refused.text
    mend_store(store)
    assert httpx.post(url, json=body("hi")).headers["x-loopwise-recorded"] == "true"
    assert len(recorded()) == 2


def test_a_stream_that_cannot_be_recorded_ends_in_an_error_and_never_in_done(strict_gateway: str, store: Store):
    break_store(store)
    with openai.OpenAI(base_url=f"{strict_gateway}/v1", api_key="x", max_retries=0) as client:
        text = httpx.post(f"{strict_gateway}/v1/chat/completions", json=body("hi", stream=True)).text
        assert "[DONE]" not in text
        assert json.loads(text.strip().split("\n\n")[-1].removeprefix("data: "))["error"]["code"] == "not_recorded"
        chunks = client.chat.completions.create(**body("hi", stream=True))
        with pytest.raises(openai.APIError, match="cannot be recorded"):
            list(chunks)
        events = client.responses.create(model="loopwise", input="hi", stream=True)
        with pytest.raises(openai.APIError, match="cannot be recorded"):
            list(events)


def test_readiness_tells_of_a_store_that_takes_no_write(gateway: str, store: Store):
    assert httpx.get(f"{gateway}/readyz").json() == {"status": "ok", "checks": {"store": "ok", "engine": "ok"}}
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE meta RENAME TO away")
    asyncio.run(asyncio.sleep(1.0))  # until the last look is no longer fresh
    answer = httpx.get(f"{gateway}/readyz")
    assert answer.status_code == 503
    assert "no such table: meta" in answer.json()["checks"]["store"]


def test_a_response_that_was_not_recorded_can_still_be_gone_on_from(store: Store, model: Model, recorded: Recorded):
    upstream = Upstream(model.url, None, "openai", "their-model")
    with serving(create_app(store, upstream)) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client:
        break_store(store)
        first = client.responses.create(model="loopwise", input="hi")
        mend_store(store)
        second = client.responses.create(model="loopwise", input="and?", previous_response_id=first.id)
        assert model.seen[-1]["previous_response_id"] not in (first.id, None)
        assert second.id != first.id
    [exchange] = recorded()
    assert exchange.request["previous_response_id"] == first.id  # as the client named it


def test_an_answer_that_the_end_of_the_gateway_cuts_off_is_recorded(store: Store, model: Model, recorded: Recorded):
    statuses: list[int | None] = []

    def ask(text: str, stream: bool) -> None:
        try:
            asked = httpx.post(f"{url}/v1/chat/completions", json=body(text, stream=stream), timeout=20)
            statuses.append(asked.status_code)
        except httpx.RemoteProtocolError:
            statuses.append(None)

    for text, stream in (("hang", False), ("hang later", True)):
        model.began.clear()
        with serving(create_app(store, Upstream(model.url, None, "embedded", "tiny"))) as url:
            client = Thread(target=ask, args=(text, stream))
            client.start()
            assert model.began.wait(5)
        client.join()
    assert statuses == [503, None]  # a stream that has begun can only break off
    assert [(row.status, row.error) for row in recorded()] == [
        (503, "the gateway was stopped before the answer ended"),
    ] * 2


def test_the_store_holds_none_of_the_words_of_a_call_that_must_not_be_stored(
    store: Store, model: Model, tmp_path: Path
):
    secret = "wombat-7f3a"
    upstream = Upstream(model.url, None, "openai", "their-model")
    with serving(create_app(store, upstream)) as url:
        for path, content in (
            ("chat/completions", body(secret)),
            ("chat/completions", body(secret, stream=True)),
            ("completions", {"model": "loopwise", "prompt": secret}),
            ("responses", {"model": "loopwise", "input": secret, "instructions": secret}),
            ("responses", {"model": "loopwise", "input": secret, "stream": True}),
            ("embeddings", {"model": "loopwise", "input": secret}),
        ):
            extra = {"metadata": {"note": secret}, "field": [{"name": secret}], "store": False}
            answer = httpx.post(f"{url}/v1/{path}", json={**content, **extra})
            assert answer.status_code == 200, answer.text
            said = {"exchange_id": answer.headers["x-loopwise-exchange"], "kind": "correction", "value": secret}
            assert httpx.post(f"{url}/v1/feedback", json={**said, "comment": secret}).status_code == 200
    store.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]
