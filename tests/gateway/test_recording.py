"""Acknowledged means on disk: what the gateway does when the store fails, the disk is slow, or it is told to stop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.config import GatewaySettings
from loopwise.gateway import champion
from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, exchanges, feedback
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
    with store.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE meta RENAME TO away")
    answer = httpx.get(f"{gateway}/readyz")  # the first look: a later one may be served by it
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


class Hanging(Store):
    """A store that does not answer readers while ``answers`` is not set."""

    answers = Event()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        assert self.answers.wait(30)
        with super().reading() as conn:
            yield conn


@pytest.fixture
def hanging(store: Store) -> Iterator[Hanging]:
    hanging = Hanging("sqlite:///loopwise.db", store.root)
    hanging.answers.clear()
    yield hanging
    hanging.answers.set()
    hanging.close()


async def test_a_store_that_hangs_holds_up_the_first_request_only_a_little_and_the_next_not_at_all(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(champion, "FRESH_S", 0.0)
    monkeypatch.setattr(champion, "STALE_S", 0.0)
    served = champion.Served(hanging)
    first = [asyncio.create_task(served.now()) for _ in range(2)]
    done, _ = await asyncio.wait(first, timeout=0.05)
    assert not done  # nothing is known that could be served
    hanging.answers.set()
    known = (await asyncio.gather(*first))[0]
    assert known.champion is not None
    assert await served.now() == known
    hanging.answers.clear()
    async with asyncio.timeout(5):
        for _ in range(100):  # which would take 40 s if each waited
            assert await served.now() == known
    hanging.answers.set()


async def test_the_gateway_writes_its_last_rows_beside_what_else_runs(store: Store, model: Model):
    app = create_app(store, Upstream(model.url, None, "embedded", "tiny"))
    running = app.router.lifespan_context(app)
    await running.__aenter__()
    with store.writing():
        written = app.state.gateway.writer.hand_over(
            [Exchange("e", 1.0, "loopwise", "tiny@0", "sha256:00", "champion", 1.0, {}, None, 200, 0.1)]
        )
        ending = asyncio.create_task(running.__aexit__(None, None, None))
        done, _ = await asyncio.wait([ending], timeout=0.2)
        assert not done
    await ending
    assert written.result() == frozenset()
    with store.reading() as conn:
        assert exchanges.known(conn, ["e"]) == {"e"}


SECRET = "wombat-7f3a"


async def quoting(request: Request) -> Response:
    """A server that says the prompt again in whatever trouble the prompt's last word asks for."""
    how = (await request.json())["messages"][-1]["content"].split()[-1]
    refusal = {"error": {"message": f"I will not say {SECRET}.", "type": SECRET, "param": SECRET, "code": SECRET}}
    if how == "refuse":
        return JSONResponse(refusal, 400)
    if how == "fail":
        return PlainTextResponse(SECRET, 500)
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    chunk = {**base, "choices": [{"index": 0, "delta": {"content": SECRET}, "finish_reason": None}]}
    ends = {"sorry": json.dumps(refusal), "nonsense": SECRET, "cut": json.dumps(chunk)}
    sent = [f"data: {event}\n\n" for event in (json.dumps(chunk), ends[how])]
    return StreamingResponse(iter(sent), media_type="text/event-stream")


def says_secret(folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The files that hold the secret, and the lines of the log."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [
        *(path.name for path in files if SECRET.encode() in path.read_bytes()),
        *(line for line in caplog.text.splitlines() if SECRET in line),
    ]


def test_the_store_and_the_log_hold_none_of_the_words_of_a_call_that_must_not_be_stored(
    store: Store, model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG", "loopwise")
    episode = {"x-loopwise-episode": "e1"}
    with serving(create_app(store, Upstream(model.url, None, "openai", "their-model"))) as url:
        httpx.post(f"{url}/v1/chat/completions", json=body("hi"), headers=episode)
        for path, content in (
            ("chat/completions", body(SECRET)),
            ("chat/completions", body(SECRET, stream=True)),
            ("completions", {"model": "loopwise", "prompt": SECRET}),
            ("responses", {"model": "loopwise", "input": SECRET, "instructions": SECRET}),
            ("responses", {"model": "loopwise", "input": SECRET, "stream": True}),
            ("embeddings", {"model": "loopwise", "input": SECRET}),
        ):
            extra = {"metadata": {"note": SECRET}, "field": [{"name": SECRET}], "store": False}
            answer = httpx.post(f"{url}/v1/{path}", json={**content, **extra}, headers=episode)
            assert answer.status_code == 200, answer.text
            say(url, exchange_id=answer.headers["x-loopwise-exchange"])
            say(url, episode_id="e1")
        httpx.post(f"{url}/v1/chat/completions", json=body("bye"), headers=episode)
    with store.reading() as conn:
        assert feedback.count_by_kind(conn) == {"correction": 12, "follow_up": 1}
    store.close()
    assert says_secret(tmp_path, caplog) == []


@pytest.mark.parametrize(
    ("how", "stream", "status"),
    [
        ("refuse", False, 400),
        ("refuse", True, 400),
        ("fail", False, 500),
        ("sorry", True, 502),
        ("nonsense", True, 502),
        ("cut", True, 502),
    ],
)
def test_nor_those_that_a_refusal_quotes_or_that_came_before_a_stream_failed(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, stream: bool, status: int
):
    caplog.set_level("DEBUG", "loopwise")
    server = Starlette(routes=[Route("/v1/chat/completions", quoting, methods=["POST"])])
    with serving(server) as behind, serving(create_app(store, Upstream(behind, None, "openai", "theirs"))) as url:
        asked = body(f"{SECRET} {how}", stream=stream, store=False)
        answer = httpx.post(f"{url}/v1/chat/completions", json=asked)
        assert SECRET in answer.text  # the client itself is told
        say(url, exchange_id=answer.headers["x-loopwise-exchange"])
    with store.reading() as conn:
        [(_, exchange)] = exchanges.up_to(conn, 9)
    assert (exchange.status, exchange.error) == (status, f"status {status}")
    store.close()
    assert says_secret(tmp_path, caplog) == []


def say(url: str, **about: str) -> None:
    said = {**about, "kind": "correction", "value": SECRET, "comment": SECRET, "metadata": {"note": SECRET}}
    assert httpx.post(f"{url}/v1/feedback", json=said).status_code == 200
