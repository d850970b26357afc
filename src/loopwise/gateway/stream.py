"""Streamed answers: passed on chunk by chunk, put together for the record, and completed only when that is on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from loopwise.gateway.call import Call
from loopwise.gateway.errors import ApiError
from loopwise.gateway.hangup import ClientGoneError, unless_gone
from loopwise.gateway.record import Outcome, recorded_header
from loopwise.gateway.sse import DONE, Assembly, events
from loopwise.gateway.state import Gateway
from loopwise.gateway.upstream import Upstream, ask, broken, failures, proved_fingerprint
from loopwise.types import JsonObject


async def open_stream(gateway: Gateway, call: Call) -> StreamingResponse:
    """The streamed answer, of which the first chunk is here and proved: what fails until then is a plain error.

    Raises ApiError."""
    response = await ask(gateway.session, gateway.upstream, call.forwarded)
    assembly = Assembly()
    pieces = _events(gateway.upstream, call, response, assembly)
    try:
        first = await anext(pieces)
    except (ApiError, asyncio.CancelledError):
        response.close()
        raise
    return _Relay(gateway, call, response, assembly, (first, pieces))


class _Relay(StreamingResponse):
    """Sends the events as they come. A failure after the first is an event with OpenAI's error object, and no [DONE].

    The header ``x-loopwise-recorded`` goes out before the exchange can be recorded, so it says whether the store works;
    should it fail afterwards, the comment ``: x-loopwise-recorded: false`` precedes ``[DONE]``.
    """

    def __init__(
        self,
        gateway: Gateway,
        call: Call,
        response: aiohttp.ClientResponse,
        assembly: Assembly,
        pieces: tuple[bytes, AsyncIterator[bytes]],
    ):
        headers = {"cache-control": "no-cache", **recorded_header(gateway.recorder.healthy)}
        super().__init__(self._relayed(*pieces), media_type="text/event-stream", headers=headers)
        self._gateway = gateway
        self._call = call
        self._response = response
        self._assembly = assembly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_gone(receive, self.stream_response(send))
        except ClientGoneError:
            await self._record(499, "the client hung up in the middle of the answer")
        finally:
            self._response.close()

    async def _relayed(self, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        last = b"data: [DONE]\n\n"
        status, failure = 200, None
        try:
            yield first
            async for event in rest:
                yield event
        except ApiError as error:
            last = _event(error.body())
            status, failure = error.status, error.message
        if not await self._record(status, failure):
            yield b": x-loopwise-recorded: false\n\n"
        yield last

    async def _record(self, status: int, failure: str | None) -> bool:
        response = self._assembly.response()
        began = self._assembly.first_token_at
        first_token_s = None if began is None else began - self._call.started
        outcome = Outcome(status, response, response["system_fingerprint"], first_token_s, failure)
        return await self._gateway.recorder.record(self._call, outcome)


async def _events(
    upstream: Upstream, call: Call, response: aiohttp.ClientResponse, assembly: Assembly
) -> AsyncIterator[bytes]:
    """The upstream's events under our id, model and fingerprint. Raises ApiError where they stop or lie."""
    fingerprint = None
    with failures(upstream):
        try:
            async for data in events(response.content.iter_any()):
                if data == DONE:
                    break
                chunk = _chunk(data, upstream)
                claim = chunk.get("system_fingerprint")
                if fingerprint is None or (claim and upstream.kind == "embedded"):
                    fingerprint = proved_fingerprint(upstream, call.release, claim, chunk.get("model"))
                chunk |= {"id": call.id, "model": call.model, "system_fingerprint": fingerprint}
                event = _event(chunk)
                assembly.add(chunk)
                yield event
            else:
                if not assembly.complete:
                    raise broken(upstream, "stopped in the middle of its answer")
        except ValueError as error:
            raise broken(upstream, f"sent {error}") from error
    if fingerprint is None:
        raise broken(upstream, "answered with an empty stream")


def _chunk(data: bytes, upstream: Upstream) -> JsonObject:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise broken(upstream, "sent a chunk that is not JSON") from error
    if isinstance(chunk, dict) and "error" in chunk:
        told = cast(JsonObject, chunk)["error"]
        message = cast(JsonObject, told).get("message") if isinstance(told, dict) else told
        raise ApiError(502, f"The model's server failed in the middle of its answer: {message}", code="upstream_broken")
    if not isinstance(chunk, dict) or not _is_chunk(cast(JsonObject, chunk)):
        raise broken(upstream, "sent a chunk that is not in OpenAI's form")
    return cast(JsonObject, chunk)


def _is_chunk(chunk: JsonObject) -> bool:
    choices: Any = chunk.get("choices") or []
    return isinstance(choices, list) and all(
        isinstance(choice, dict)
        and isinstance(choice.get("index", 0), int)  # pyright: ignore[reportUnknownMemberType]
        and isinstance(choice.get("delta") or {}, dict)  # pyright: ignore[reportUnknownMemberType]
        for choice in cast(list[Any], choices)
    )


def _event(value: JsonObject) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
