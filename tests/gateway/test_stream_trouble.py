"""Streams that break, stall, lie or are left: each is told to the client, and recorded once as what it was."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store, feedback
from loopwise.types import Exchange, JsonObject
from scripted import serving

Recorded = Callable[[], list[Exchange]]
Serve = Callable[..., AbstractContextManager[str]]
DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    kind = f"event: {value['type']}\n" if "type" in value else ""
    return f"{kind}data: {json.dumps(value)}\n\n".encode()


def chunk(text: str, finish: str | None = None, index: int = 0) -> bytes:
    return event({"id": "u", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]})


def told(content: bytes) -> list[JsonObject]:
    """The data of each event, [DONE] left out."""
    lines = [line.removeprefix(b"data: ") for line in content.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


class Server:
    """A model's server that sends given pieces; after them it goes on as ``after`` says."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.after: Callable[[], AsyncIterator[bytes]] | None = None

    async def answer(self, _: Request) -> Response:
        return StreamingResponse(self._sent(), media_type="text/event-stream")

    async def _sent(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
            await asyncio.sleep(0)
        if self.after is not None:
            async for piece in self.after():
                yield piece


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def before(store: Store, server: Server) -> Serve:
    """Serves the gateway in front of ``server``."""

    @contextmanager
    def serve(wrapped: Callable[[Starlette], Starlette] = lambda app: app, **limits: Any) -> Iterator[str]:
        paths = ("chat/completions", "completions", "responses")
        routes = [Route(f"/v1/{path}", server.answer, methods=["POST"]) for path in paths]
        with serving(Starlette(routes=routes)) as url:
            upstream = Upstream(f"{url}/v1", None, "openai", "m", retries=0, **limits)
            with serving(wrapped(create_app(store, upstream))) as gateway:
                yield gateway

    return serve


def ask(url: str, path: str = "chat/completions", **more: Any) -> httpx.Response:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}], "input": "hi", "stream": True}
    return httpx.post(f"{url}/v1/{path}", json={**body, **more}, timeout=20)


def test_a_typed_stream_that_breaks_ends_in_an_event_of_type_error_with_the_next_number(before: Serve, server: Server):
    server.pieces = [
        event({"type": "response.created", "sequence_number": 0, "response": {"id": "r"}}),
        event({"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "delta": "a"}),
    ]
    with before() as url:
        content = ask(url, "responses").content
        last = content.split(b"\n\n")[-2]
        assert last.startswith(b"event: error\ndata: ")
        error = told(last)[0]
    assert (error["type"], error["sequence_number"]) == ("error", 2)
    assert error["message"].endswith("stopped in the middle of its answer: see its log.")
    assert (error["code"], error["param"]) == ("upstream_broken", None)
    assert error["error"]["type"] == "server_error"


def test_done_is_no_end_of_a_typed_stream_whose_answer_did_not_end(before: Serve, server: Server, recorded: Recorded):
    server.pieces = [event({"type": "response.created", "response": {"id": "r", "object": "response"}}), DONE]
    with before() as url:
        content = ask(url, "responses").content
    assert b"[DONE]" not in content
    assert "stopped in the middle of its answer" in told(content)[-1]["message"]
    assert recorded()[0].status == 502


def test_a_response_that_failed_is_passed_on_and_its_error_recorded(before: Serve, server: Server, recorded: Recorded):
    error = {"code": "server_error", "message": "the \ud83d\ude00 GPU\0 is gone \ud83d"}
    server.pieces = [event({"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error}})]
    with before() as url:
        [last] = told(ask(url, "responses").content)
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"] == "the \U0001f600 GPU\0 is gone \ud83d"
    [exchange] = recorded()
    assert (exchange.status, exchange.error) == (200, "the \U0001f600 GPU\ufffd is gone \ufffd")


def test_the_clients_name_of_the_earlier_answer_is_put_back(remote_gateway: str):
    first = ask(remote_gateway, "responses").headers["x-loopwise-exchange"]
    events = told(ask(remote_gateway, "responses", previous_response_id=first).content)
    named = {each["response"]["previous_response_id"] for each in events if "response" in each}
    assert named == {first}
    assert [each["type"] for each in events if "response" in each] == ["response.created", "response.completed"]


@pytest.mark.parametrize("depth", [400, 700])
def test_an_item_however_deep_is_passed_on_or_refused_and_recorded(
    before: Serve, server: Server, recorded: Recorded, depth: int
):
    item = '{"a": ' * depth + "1" + "}" * depth
    added = b'data: {"type": "response.output_item.added", "output_index": 0, "item": %s}\n\n' % item.encode()
    server.pieces = [
        event({"type": "response.created", "response": {"id": "r"}}),
        added,
        event({"type": "response.completed", "response": {"id": "r", "output": []}}),
    ]
    with before() as url:
        content = ask(url, "responses").content
    [exchange] = recorded()
    if depth == 400:
        assert (exchange.status, exchange.error) == (200, None)
        assert item.replace(" ", "") in content.decode().replace(" ", "")
    else:
        assert exchange.status == 502
        assert told(content)[-1]["type"] == "error"
        assert "sent a chunk that is not JSON" in told(content)[-1]["message"]


def test_a_deep_item_of_a_stream_that_broke_off_is_recorded(before: Serve, server: Server, recorded: Recorded):
    item = json.loads('{"a": ' * 400 + "1" + "}" * 400)
    server.pieces = [
        event({"type": "response.created", "response": {"id": "r"}}),
        event({"type": "response.output_item.added", "output_index": 0, "item": item}),
    ]
    with before() as url:
        assert told(ask(url, "responses").content)[-1]["type"] == "error"
    [exchange] = recorded()
    assert exchange.response is not None
    assert exchange.response["output"] == [item]


def test_an_error_in_the_middle_is_recorded_whatever_characters_it_holds(
    before: Serve, server: Server, recorded: Recorded
):
    server.pieces = [chunk("a"), event({"error": {"message": "gone \ud800 and \0"}})]
    with before() as url:
        assert told(ask(url).content)[-1]["error"]["message"].endswith("gone \ufffd and \0")
    [exchange] = recorded()
    assert exchange.error is not None
    assert exchange.error.endswith("gone \ufffd and \ufffd")


def test_half_a_pair_in_a_chunk_is_passed_on_and_joined_in_the_record(
    before: Serve, server: Server, recorded: Recorded
):
    server.pieces = [chunk("\ud83d"), chunk("\ude00 and \ude00"), chunk("", "stop"), DONE]
    with before() as url:
        answer = ask(url)
    passed_on = [each["choices"][0]["delta"]["content"] for each in told(answer.content)]
    assert passed_on == ["\ud83d", "\ude00 and \ude00", ""]
    [exchange] = recorded()
    assert exchange.response is not None
    assert exchange.response["choices"][0]["message"]["content"] == "\U0001f600 and \ufffd"


def test_names_with_half_a_pair_are_recorded(before: Serve, server: Server, recorded: Recorded):
    named = {"id": "u\ud800", "model": "m\ud800", "system_fingerprint": "f\ud800"}
    server.pieces = [event({**named, "choices": [{"index": 0, "delta": {"content": "a"}}]}), DONE]
    with before() as url:
        assert ask(url).content.endswith(DONE)
    [exchange] = recorded()
    assert exchange.upstream_id == "u\ufffd"
    assert "\ufffd" in exchange.fingerprint


async def pings() -> AsyncIterator[bytes]:
    while True:
        yield b": ping\n\n"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("pieces", [[], [chunk("a")]])
def test_comments_are_no_tokens_however_often_they_come(
    before: Serve, server: Server, recorded: Recorded, pieces: list[bytes]
):
    server.pieces, server.after = pieces, pings
    began = time.monotonic()
    with before(first_token_s=0.3, total_s=15.0) as url:
        content = ask(url).content
    assert time.monotonic() - began < 10.0
    error = json.loads(content)["error"] if not pieces else told(content)[-1]["error"]
    assert error["code"] == "upstream_timeout"
    assert "sent nothing for 0.3 s: see whether it is overloaded, or raise first_token_s." in error["message"]
    assert recorded()[0].status == 504


def test_comments_between_events_that_come_in_time_end_nothing(before: Serve, server: Server):
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b": ping\n\n"
            await asyncio.sleep(0.1)
            yield chunk("b")
        yield DONE

    server.pieces, server.after = [chunk("a")], slowly
    with before(first_token_s=0.4) as url:  # 0.6 s and more in all
        content = ask(url).content
    assert content.endswith(DONE)
    assert len(told(content)) == 7


@pytest.mark.parametrize(
    ("path", "more"),
    [("chat/completions", {"n": 2}), ("completions", {"prompt": "a", "n": 2}), ("completions", {"prompt": ["a", "b"]})],
)
def test_a_stream_without_done_that_lacks_a_choice_broke_off(
    before: Serve, server: Server, recorded: Recorded, path: str, more: JsonObject
):
    server.pieces = [chunk("a"), chunk("", "stop")]
    with before() as url:
        content = ask(url, path, **more).content
        assert b"[DONE]" not in content
        assert "stopped in the middle" in told(content)[-1]["error"]["message"]
        server.pieces = [*server.pieces, chunk("b", "stop", index=1)]
        assert ask(url, path, **more).content.endswith(DONE)
    assert [exchange.status for exchange in recorded()] == [502, 200]


def test_a_prompt_of_token_ids_is_one_prompt(before: Serve, server: Server):
    server.pieces = [chunk("a", "stop")]
    with before() as url:
        assert ask(url, "completions", prompt=[1, 2, 3]).content.endswith(DONE)


class Watched:
    """Tells when the gateway learns that its client hung up."""

    def __init__(self, app: ASGIApp, gone: threading.Event):
        self._app = app
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._gone.set()
            return message

        await self._app(scope, heard, send)


@pytest.fixture
def gone() -> threading.Event:
    return threading.Event()


@pytest.fixture
def watched(gone: threading.Event) -> Callable[[Starlette], Starlette]:
    def wrap(app: Starlette) -> Starlette:
        app.user_middleware.insert(0, Middleware(Watched, gone=gone))
        return app

    return wrap


@contextmanager
def read_to_finish(url: str) -> Iterator[None]:
    """As many clients do: they read no further than the reason for which the answer ended, and hang up."""
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}], "stream": True, "user": "lena"}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
        for line in answer.iter_lines():
            if '"stop"' in line:
                yield
                return


def implicit(store: Store) -> list[str]:
    with store.reading() as conn:
        return [row.kind for _, row in feedback.up_to(conn, feedback.watermark(conn))]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_hang_up_while_the_answer_is_being_recorded_records_it_once_and_is_no_abandon(
    before: Serve, server: Server, recorded: Recorded, store: Store, gone: threading.Event, watched: Any, tmp_path: Any
):
    server.pieces = [chunk("a"), chunk("", "stop"), DONE]
    locker = sqlite3.connect(tmp_path / "loopwise.db", isolation_level=None)
    with before(watched) as url:
        locker.execute("BEGIN IMMEDIATE")
        with read_to_finish(url):
            until(lambda: "loopwise_waiting_rows 1.0" in httpx.get(f"{url}/metrics").text)
            gone.clear()
        assert gone.wait(5)
        locker.execute("ROLLBACK")
        until(lambda: 'status="2xx"' in httpx.get(f"{url}/metrics").text)
        assert 'status="abandoned"' not in httpx.get(f"{url}/metrics").text
    locker.close()
    [exchange] = recorded()
    assert (exchange.status, exchange.error) == (200, None)
    assert implicit(store) == []


def test_a_hang_up_after_the_last_choice_ended_is_no_abandon(
    before: Serve, server: Server, recorded: Recorded, store: Store
):
    async def endless() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield DONE

    server.pieces, server.after = [chunk("a"), chunk("", "stop")], endless
    with before() as url:
        with read_to_finish(url):
            pass
        until(lambda: bool(recorded()))
    [exchange] = recorded()
    assert (exchange.status, exchange.error) == (200, None)
    assert implicit(store) == []
