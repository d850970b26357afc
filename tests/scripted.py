"""A real OpenAI-shaped server that does what the last message tells it, and applications served from a thread."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.types import JsonObject

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


def model_app(model: Model) -> Starlette:
    routes = [Route("/v1/chat/completions", model.chat, methods=["POST"]), Route("/v1/models", model.models)]
    return Starlette(routes=routes)
