"""A gateway on a real port, in front of a real OpenAI-shaped server that does what the last message tells it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.release.transitions import promote, register
from loopwise.store import Store, exchanges
from loopwise.types import Exchange, JsonObject, Release

FINGERPRINTS = {"tiny@0": "sha256:00", "tiny@1": "sha256:11"}


@dataclass
class Model:
    """The server behind the gateway: what it was sent, and whether somebody hung up on it."""

    url: str = ""
    seen: list[JsonObject] = field(default_factory=list[JsonObject])
    began: Event = field(default_factory=Event)
    canceled: Event = field(default_factory=Event)

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        text = body["messages"][-1]["content"]
        if text == "refuse":
            error = {"message": "'temperature' is too hot.", "type": "invalid_request_error", "param": "temperature"}
            return JSONResponse({"error": error}, 400)
        if text == "fail":
            return PlainTextResponse("out of memory", 500)
        if text == "garbage":
            return PlainTextResponse("<html>hello</html>")
        if text == "redirect":
            return Response(status_code=307, headers={"location": "http://127.0.0.1:9/"})
        if text == "hang":
            self.began.set()
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.canceled.set()
        if body.get("stream"):
            return StreamingResponse(self._stream(body, text), media_type="text/event-stream")
        return JSONResponse(self._whole(body, text))

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    async def _hang(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.canceled.set()
            raise

    def _fingerprint(self, body: JsonObject, text: str) -> str | None:
        return "sha256:stale" if text == "stale" else FINGERPRINTS.get(body["model"])

    def _whole(self, body: JsonObject, text: str) -> JsonObject:
        message = {"role": "assistant", "content": f"{body['model']} hears {text}"}
        return {
            "id": "chatcmpl-upstream",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "system_fingerprint": self._fingerprint(body, text),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            "unknown": {"kept": True},
        }

    async def _stream(self, body: JsonObject, text: str) -> AsyncIterator[bytes]:
        words = [body["model"], " hears ", text]
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words), {}]
        for place, delta in enumerate(deltas):
            if place == 3:
                async for event in self._trouble(text):
                    yield event
                if text in ("cut", "nonsense", "sorry"):
                    return
            chunk = {
                "id": "chatcmpl-upstream",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": body["model"],
                "system_fingerprint": "sha256:stale"
                if text == "turns stale" and place > 2
                else self._fingerprint(body, text),
                "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}],
            }
            yield b"data: " + json.dumps(chunk).encode() + b"\n\n"
        if text != "no done":
            yield b"data: [DONE]\n\n"

    async def _trouble(self, text: str) -> AsyncIterator[bytes]:
        if text == "nonsense":
            yield b"data: {{{\n\n"
        if text == "sorry":
            yield b'data: {"error": {"message": "the engine restarts"}}\n\n'
        if text == "hang later":
            await self._hang()


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """The app's address while it is served from a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def model_server() -> Iterator[Model]:
    model = Model()
    routes = [Route("/v1/chat/completions", model.chat, methods=["POST"]), Route("/v1/models", model.models)]
    with serving(Starlette(routes=routes)) as model.url:
        yield model


@pytest.fixture
def model(model_server: Model) -> Model:
    model_server.seen.clear()
    model_server.began.clear()
    model_server.canceled.clear()
    return model_server


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in which tiny@0 is champion and tiny@1 waits."""
    store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    for at, (name, fingerprint) in enumerate(FINGERPRINTS.items()):
        register(
            store, Release(name, "candidate", None, None, fingerprint, f"models/{name}", float(at)), "test", "made"
        )
    promote(store, "tiny@0", "test", "the base")
    yield store
    store.close()


@pytest.fixture
def gateway(store: Store, model: Model) -> Iterator[str]:
    with serving(create_app(store, Upstream(model.url, None, "embedded", "tiny"))) as url:
        yield url


@pytest.fixture
def remote_gateway(store: Store, model: Model) -> Iterator[str]:
    """In front of a server that is not ours."""
    with serving(create_app(store, Upstream(model.url + "/v1", "secret", "openai", "their-model"))) as url:
        yield url


@pytest.fixture
def serve_before(store: Store) -> Callable[[str], AbstractContextManager[str]]:
    """Serves the gateway in front of a given address."""
    return lambda url: serving(create_app(store, Upstream(url, None, "embedded", "tiny")))


@pytest.fixture
def serve_store(model: Model) -> Callable[[Store], AbstractContextManager[str]]:
    """Serves the gateway over a given store."""
    return lambda store: serving(create_app(store, Upstream(model.url, None, "embedded", "tiny")))


@pytest.fixture
def serve_whole() -> Callable[[Store, str], AbstractContextManager[str]]:
    """Serves the gateway over a given store in front of a given address."""
    return lambda store, url: serving(create_app(store, Upstream(url, None, "embedded", "tiny")))


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def recorded(store: Store) -> Callable[[], list[Exchange]]:
    """What the store holds."""

    def read() -> list[Exchange]:
        with store.reading() as conn:
            return [exchange for _, exchange in exchanges.up_to(conn, exchanges.watermark(conn))]

    return read
