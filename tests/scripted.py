"""A real OpenAI-shaped server that does what the last message tells it, and applications served from a thread.

It echoes what it is told. With ``tools`` it calls the first one, with a JSON schema it answers in JSON, of images it
says how many it sees; "refuse", "busy", "fail", "fail once", "garbage", "hang" and so on are trouble.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.types import JsonObject

DONE = b"data: [DONE]\n\n"
FINGERPRINTS = {"tiny@0": "sha256:00", "tiny@1": "sha256:11"}


@dataclass
class Model:
    """The server behind the gateway: what it was sent, and whether somebody hung up on it."""

    url: str = ""
    seen: list[JsonObject] = field(default_factory=list[JsonObject])
    began: Event = field(default_factory=Event)
    canceled: Event = field(default_factory=Event)
    said: dict[str, str] = field(default_factory=dict[str, str])  # by response id
    kept: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])  # responses, by id

    def reset(self) -> None:
        self.seen.clear()
        self.said.clear()
        self.kept.clear()
        self.began.clear()
        self.canceled.clear()

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        text = told(body["messages"][-1]["content"])
        if trouble := self._refusal(text):
            return trouble
        if text == "hang":
            self.began.set()
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.canceled.set()
        if body.get("stream"):
            return StreamingResponse(self._stream(body, text), media_type="text/event-stream")
        return JSONResponse(self._whole(body, text))

    async def completions(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        if trouble := self._refusal(body["prompt"]):
            return trouble
        words = [body["model"], " goes on from ", body["prompt"]]
        base = {"id": "cmpl-upstream", "object": "text_completion", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "text": "".join(words), "finish_reason": "stop", "logprobs": None}
            usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
            return JSONResponse({**base, "choices": [choice], "usage": usage})
        chunks = [{**base, "choices": [{"index": 0, "text": word, "finish_reason": None}]} for word in words]
        chunks.append({**base, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        return StreamingResponse(_sent([*(_data(chunk) for chunk in chunks), DONE]), media_type="text/event-stream")

    async def responses(self, request: Request) -> Response:
        """Remembers what it was told, so that ``previous_response_id`` is answered by it, or refused."""
        body = await request.json()
        self.seen.append(body)
        given = body["input"]
        text = given if isinstance(given, str) else told(given[-1]["content"])
        previous = body.get("previous_response_id")
        if previous is not None and previous not in self.said:
            error = {"message": f"Previous response with id '{previous}' not found.", "type": "invalid_request_error"}
            return JSONResponse({"error": {**error, "param": "previous_response_id", "code": None}}, 400)
        if trouble := self._refusal(text):
            return trouble
        before = f" after {self.said[previous]}" if previous else ""
        name = f"resp_upstream_{len(self.said)}"
        self.said[name] = text
        events = list(response_events(name, body["model"], [body["model"], f" hears {text}", before], previous))
        self.kept[name] = events[-1]["response"]
        if body.get("stream"):
            sent = [f"event: {event['type']}\n".encode() + _data(event) for event in events]
            return StreamingResponse(_sent(sent), media_type="text/event-stream")
        return JSONResponse(events[-1]["response"])

    async def kept_response(self, request: Request) -> Response:
        """A response that was given earlier, or what it was asked; deletes it."""
        name = request.path_params["id"]
        if name not in self.kept:
            error = {"message": f"Response with id '{name}' not found.", "type": "invalid_request_error"}
            return JSONResponse({"error": {**error, "param": "id", "code": None}}, 404)
        if request.url.path.endswith("/input_items"):
            part = {"type": "input_text", "text": self.said[name]}
            item = {"id": "msg_0", "type": "message", "role": "user", "status": "completed", "content": [part]}
            page = {"object": "list", "data": [item], "first_id": "msg_0", "last_id": "msg_0", "has_more": False}
            return JSONResponse(page)
        if request.method == "DELETE":
            del self.kept[name]
            return JSONResponse({"id": name, "object": "response", "deleted": True})
        return JSONResponse(self.kept[name])

    async def embeddings(self, request: Request) -> Response:
        """The length of each text, as a vector of one number."""
        body = await request.json()
        self.seen.append(body)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        data = [{"object": "embedding", "index": n, "embedding": [float(len(text))]} for n, text in enumerate(texts)]
        if body.get("encoding_format") == "base64":
            data = [
                {**row, "embedding": base64.b64encode(struct.pack("<f", *row["embedding"])).decode()} for row in data
            ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})

    def _refusal(self, text: str) -> Response | None:
        if text == "refuse":
            error = {"message": "'temperature' is too hot.", "type": "invalid_request_error", "param": "temperature"}
            return JSONResponse({"error": error}, 400)
        if text == "busy":
            error = {"message": "Too many requests.", "type": "rate_limit_error", "param": None, "code": "rate_limit"}
            return JSONResponse({"error": error}, 429, {"retry-after": "0"})
        if text == "fail" or (text == "fail once" and len(self.seen) == 1):
            return PlainTextResponse("out of memory", 500)
        if text == "garbage":
            return PlainTextResponse("<html>hello</html>")
        if text == "redirect":
            return Response(status_code=307, headers={"location": "http://127.0.0.1:9/"})
        return None

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
        message: JsonObject = {"role": "assistant", "content": "".join(_words(body, text))}
        if calls := _tool_calls(body, text):
            message = {"role": "assistant", "content": None, "tool_calls": [calls]}
        return {
            "id": "chatcmpl-upstream",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "system_fingerprint": self._fingerprint(body, text),
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            "unknown": {"kept": True},
        }

    async def _stream(self, body: JsonObject, text: str) -> AsyncIterator[bytes]:
        deltas = list(_deltas(body, text))
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
                "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else _finish(body)}],
            }
            yield _data(chunk)
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            yield _data({"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1,
                         "model": body["model"], "choices": [], "usage": usage})  # fmt: skip
        if text != "no done":
            yield DONE

    async def _trouble(self, text: str) -> AsyncIterator[bytes]:
        if text == "nonsense":
            yield b"data: {{{\n\n"
        if text == "sorry":
            yield b'data: {"error": {"message": "the engine restarts"}}\n\n'
        if text == "hang later":
            await self._hang()


def told(content: Any) -> str:
    """The text of a message; of images beside it, how many there are."""
    if isinstance(content, str):
        return content
    texts = [part["text"] for part in content if part["type"] in ("text", "input_text")]
    images = [part for part in content if part["type"] in ("image_url", "input_image")]
    return " ".join(texts) + (f" and sees {len(images)} images" if images else "")


def _words(body: JsonObject, text: str) -> list[str]:
    if (body.get("response_format") or {}).get("type") == "json_schema":
        return ['{"heard": ', json.dumps(text), "}"]
    return [body["model"], " hears ", text]


def _tool_calls(body: JsonObject, text: str) -> JsonObject | None:
    """A call of the first tool, unless its result is there already."""
    if not body.get("tools") or body["messages"][-1]["role"] == "tool":
        return None
    name = body["tools"][0]["function"]["name"]
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps({"heard": text})}}


def _finish(body: JsonObject) -> str:
    return "tool_calls" if _tool_calls(body, "") else "stop"


def _deltas(body: JsonObject, text: str) -> Iterator[JsonObject]:
    call = _tool_calls(body, text)
    if call is None:
        yield {"role": "assistant", "content": ""}
        yield from ({"content": word} for word in _words(body, text))
    else:
        arguments = call["function"]["arguments"]
        first = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
        yield {"role": "assistant", "content": None, "tool_calls": [first]}
        for piece in (arguments[:3], arguments[3:]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    yield {}


def response_events(name: str, model: str, words: Sequence[str], previous: str | None = None) -> Iterator[JsonObject]:
    """A streamed response as OpenAI's server sends it; the last event holds the whole."""
    base = {"id": name, "object": "response", "created_at": 1, "model": model, "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None, "instructions": None,
            "metadata": {}, "temperature": 1.0, "top_p": 1.0, "previous_response_id": previous}  # fmt: skip
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    whole = {**part, "text": "".join(words)}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    done = {**item, "status": "completed", "content": [whole]}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4, **details}
    events: list[JsonObject] = [
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **place, "text": whole["text"], "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": {**base, "status": "completed", "output": [done], "usage": usage}},
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _data(event: JsonObject) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


async def _sent(events: Sequence[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event


class _PromptServer(uvicorn.Server):
    """Uvicorn, but for how it ends. It looks every tenth of a second whether it shall, and then waits another one;
    with a server in every other test, that was a fifth of the suite's time."""

    def __init__(self, config: uvicorn.Config):
        super().__init__(config)
        self.stopping = Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await asyncio.to_thread(self.stopping.wait)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        running = self.server_state
        for connection in list(running.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while running.connections or running.tasks:
                    await asyncio.sleep(0.002)
        for task in running.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """The app's address while it is served from a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = _PromptServer(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stopping.set()
        thread.join()


def model_app(model: Model) -> Starlette:
    posted = {
        "chat/completions": model.chat,
        "completions": model.completions,
        "responses": model.responses,
        "embeddings": model.embeddings,
    }
    routes = [Route(f"/v1/{path}", take, methods=["POST"]) for path, take in posted.items()]
    routes.append(Route("/v1/responses/{id}", model.kept_response, methods=["GET", "DELETE"]))
    routes.append(Route("/v1/responses/{id}/input_items", model.kept_response))
    return Starlette(routes=[*routes, Route("/v1/models", model.models)])
