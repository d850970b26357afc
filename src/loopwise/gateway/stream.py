"""Streamed answers: passed on event by event, put together for the record, and completed only when that is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from loopwise.gateway.call import Call
from loopwise.gateway.endpoints import RESPONSES, Assembly
from loopwise.gateway.errors import CLIENT_GONE, ApiError
from loopwise.gateway.hangup import ClientGoneError, unless_gone
from loopwise.gateway.jsontext import heard_piece, storable, written
from loopwise.gateway.record import STOPPED, Outcome, exchange_headers
from loopwise.gateway.sse import DONE, Event, events
from loopwise.gateway.state import Gateway
from loopwise.gateway.upstream import Question, Upstream, ask, broken, failures
from loopwise.types import JsonObject


async def open_stream(gateway: Gateway, call: Call) -> tuple[StreamingResponse, None]:
    """The streamed answer, of which the first event is here and proved: what fails until then is a plain error.

    Raises ApiError."""
    body = written(call.forwarded)
    question = Question("POST", call.endpoint.path, body, {"accept": "text/event-stream", **call.headers}, streams=True)
    upstream = call.target.upstream
    response = await ask(gateway.session, upstream, question)
    stream = _Stream(call, response)
    try:
        if response.content_type != "text/event-stream":
            raise broken(upstream, f"answered with {response.content_type!r} where a stream was asked for")
        first = await anext(stream.pieces, b"")  # nothing where the first event is the last one, which is held back
    except (ApiError, asyncio.CancelledError):
        response.close()
        raise
    return _Relay(gateway, stream, first), None


class _Stream:
    """The upstream's events under our id, model and fingerprint; ``last`` is held back until the record is on disk."""

    def __init__(self, call: Call, response: aiohttp.ClientResponse):
        assert call.endpoint.assembly is not None  # else it would not stream
        self.call = call
        self.response = response
        self.assembly: Assembly = call.endpoint.assembly(call.request)
        self.upstream_id: str | None = None
        self.fingerprint = ""
        self.last = b""
        self._number = -1  # of the last event that bore one
        self._typed = call.endpoint is RESPONSES  # its events say what they are, and the last one is not [DONE]
        self.pieces = self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        """What came together is passed on together: a call to the socket for each event would cost most of the time.

        Raises ApiError where the events stop or lie.
        """
        upstream = self.call.target.upstream
        batches = events(self.response.content.iter_any())
        loop = asyncio.get_running_loop()
        with failures(upstream):
            try:
                began = loop.time()
                async for found in batches:
                    batch = found or await self._awaited(batches, began + upstream.first_token_s)
                    passed_on, failure = self._taken(batch, upstream)
                    if passed_on:
                        yield passed_on
                    if failure:
                        raise failure
                    if self.last:
                        break
                    began = loop.time()
            except ValueError as error:
                raise broken(upstream, f"sent {error}") from error
        if not self.fingerprint:
            raise broken(upstream, "answered with an empty stream")
        ended = self.last and not self._typed  # the end of a typed stream is an event that completes it
        if not ended and not self.assembly.complete:
            raise broken(upstream, "stopped in the middle of its answer")
        self.last = self.last or b"data: [DONE]\n\n"

    async def _awaited(self, batches: AsyncIterator[list[Event]], due: float) -> list[Event]:
        """The next events, where what came last held none; nothing at the stream's end.

        aiohttp's own limit bounds silence, without a timer for each piece; this one bounds what comments keep alive.
        Raises SocketTimeoutError."""
        patience = asyncio.timeout_at(due)
        try:
            async with patience:
                async for batch in batches:
                    if batch:
                        return batch
        except TimeoutError as error:
            if not patience.expired():  # another limit, which says so
                raise
            raise aiohttp.SocketTimeoutError from error
        return []

    def _taken(self, batch: list[Event], upstream: Upstream) -> tuple[bytes, ApiError | None]:
        """What is passed on of ``batch``, and what is wrong with the event after that."""
        pieces: list[bytes] = []
        failure = None
        try:
            for event in batch:
                if event.data == DONE:
                    self.last = b"data: [DONE]\n\n"
                    break
                piece = self._passed_on(event, upstream)
                if self._typed and self.assembly.complete:
                    self.last = piece
                    break
                pieces.append(piece)
        except ApiError as error:
            failure = error
        except ValueError as error:
            failure = broken(upstream, f"sent {error}")
        return b"".join(pieces), failure

    def _passed_on(self, event: Event, upstream: Upstream) -> bytes:
        chunk = _chunk_of(event.data, self.call, upstream)
        whole: JsonObject | None = chunk.get("response") if self._typed else chunk
        if whole is not None:
            self._rename(whole)
        if self._typed and type(number := chunk.get("sequence_number")) is int:
            self._number = number
        piece = _event(chunk, event.kind)
        self.assembly.add(chunk)
        return piece

    def _rename(self, answer: JsonObject) -> None:
        """Puts our id, model and fingerprint into ``answer``, which may be a chunk of it, and what the client calls the
        earlier answer."""
        claim, theirs = answer.get("system_fingerprint"), answer.get("id")
        if not self.fingerprint or (claim and self.call.target.proof):
            self.fingerprint = storable(self.call.target.fingerprint(claim, answer.get("model")))
        if isinstance(theirs, str):
            self.upstream_id = self.upstream_id or storable(theirs)
        if "previous_response_id" in answer and (previous := self.call.request.get("previous_response_id")) is not None:
            answer["previous_response_id"] = previous
        answer |= {"id": self.call.id, "model": self.call.model, "system_fingerprint": self.fingerprint}

    def error(self, error: ApiError) -> bytes:
        """The last event of a stream that failed, in the manner of its call."""
        told = error.body()
        if not self._typed:
            return _event(told)
        typed = {**told["error"], **told, "type": "error", "sequence_number": self._number + 1}
        return _event(typed, "error")

    def outcome(self, status: int, error: str | None) -> Outcome:
        began = self.assembly.first_token_at
        first_token_s = None if began is None else began - self.call.started
        response = storable(self.assembly.response())
        failure = error or self.assembly.failure
        return Outcome(status, response, self.fingerprint, first_token_s, failure, self.upstream_id)


class _Relay(StreamingResponse):
    """Sends the events as they come. A failure after the first is an event with OpenAI's error object, and no [DONE].

    The header ``x-loopwise-recorded`` goes out before the exchange can be recorded, so it says whether the store works;
    should it fail afterwards, the comment ``: x-loopwise-recorded: false`` precedes the last event, or an error
    replaces it where such answers are refused.
    """

    def __init__(self, gateway: Gateway, stream: _Stream, first: bytes):
        self._recorder = gateway.recorder
        self._stream = stream
        self._recording: asyncio.Task[bool] | None = None
        headers = {"cache-control": "no-cache"}
        super().__init__(self._relayed(first), media_type="text/event-stream", headers=headers)
        self.raw_headers += exchange_headers(stream.call, gateway.recorder.healthy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_gone(receive, self.stream_response(send))
        except ClientGoneError:
            await self._record(*self._unless_complete(CLIENT_GONE, "the client hung up in the middle of the answer"))
        except asyncio.CancelledError:
            if self._recording is None:
                status, failure = self._unless_complete(STOPPED.status, STOPPED.error)
                self._recorder.hand_over(self._stream.call, self._stream.outcome(status, failure))
            raise
        finally:
            self._stream.response.close()

    async def _relayed(self, first: bytes) -> AsyncIterator[bytes]:
        status, failure = 200, None
        try:
            yield first
            async for piece in self._stream.pieces:
                yield piece
            last = self._stream.last
        except ApiError as error:
            status, failure, last = error.status, error.message, self._stream.error(error)
        if not await self._record(status, failure):
            if self._recorder.refuses and failure is None:
                last = self._stream.error(self._recorder.refusal())
            yield b": x-loopwise-recorded: false\n\n"
        yield last

    def _unless_complete(self, status: int, failure: str | None) -> tuple[int, str | None]:
        """How a stream that ended early is recorded: many clients close theirs when they have all of the answer."""
        return (200, None) if self._stream.assembly.complete else (status, failure)

    async def _record(self, status: int, failure: str | None) -> bool:
        """Whether it is recorded. Whoever comes second waits for the first: it is recorded once, also where the client
        hangs up meanwhile."""
        if self._recording is None:
            outcome = self._stream.outcome(status, failure)
            self._recording = asyncio.ensure_future(self._recorder.record(self._stream.call, outcome))
        return await asyncio.shield(self._recording)


def _chunk_of(data: bytes, call: Call, upstream: Upstream) -> JsonObject:
    try:
        chunk = heard_piece(data)
    except ValueError as error:
        raise broken(upstream, "sent a chunk that is not JSON") from error
    if not isinstance(chunk, dict):
        raise broken(upstream, "sent a chunk that is not in OpenAI's form")
    found = cast(JsonObject, chunk)
    if found.get("error") is not None or found.get("type") == "error":
        found = cast(JsonObject, heard_piece(upstream.without_key(data)))
        told = found.get("error") or found
        message = cast(JsonObject, told).get("message") if isinstance(told, dict) else told
        sentence = f"The model's server failed in the middle of its answer: {message}"
        raise ApiError(502, storable(sentence), code="upstream_broken")
    if not call.endpoint.is_chunk(found):
        raise broken(upstream, "sent a chunk that is not in OpenAI's form")
    return found


def _event(value: JsonObject, kind: str = "") -> bytes:
    head = f"event: {kind}\n".encode() if kind else b""
    return head + b"data: " + written(value) + b"\n\n"
