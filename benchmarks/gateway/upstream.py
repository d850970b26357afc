"""The model's stand-in: a fixed answer over a bare protocol, so cheap that what is in front of it is what is measured.

    python -m benchmarks.gateway.upstream PORT

A streamed answer has sixteen chunks, each with the moment at which it left on the machine's monotonic clock, as
``@nanoseconds@`` in its text. They leave at once, or ``PACE_S`` apart where the prompt contains ``PACED``.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import uvloop

from loopwise.compute.parent import exit_with_parent

CHUNKS = 16
PACE_S = 0.005
PACED = b"at the pace of a model"

_HEAD = (
    b'{"id":"chatcmpl-%012d","object":"chat.completion%b","created":1,"model":"m","system_fingerprint":"fp_fixed",'
    b'"choices":[{"index":0,'
)
_WHOLE = _HEAD + (
    b'"message":{"role":"assistant","content":"' + b"word " * 40 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":30,"completion_tokens":40,"total_tokens":70}}'
)
_CHUNK = _HEAD + b'"delta":{"content":"word @%d@ "},"finish_reason":null}]}'
_LAST = _HEAD + b'"delta":{},"finish_reason":"stop"}]}'
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_MODELS = b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"nobody"}]}'


class Answers(asyncio.Protocol):
    """One connection: finds each request's end by its length, answers, and reads nothing else of it."""

    ids = itertools.count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            size = content_length(self.buffer[:end])
            if len(self.buffer) < end + 4 + size:
                return
            method, body = self.buffer[:4], self.buffer[end + 4 : end + 4 + size]
            self.buffer = self.buffer[end + 4 + size :]
            self.answer(method, body)

    def answer(self, method: bytes, body: bytes) -> None:
        if method != b"POST":
            self.transport.write(_JSON % (len(_MODELS), _MODELS))
        elif b'"stream":true' in body or b'"stream": true' in body:
            self.stream(next(self.ids), paced=PACED in body)
        else:
            whole = _WHOLE % (next(self.ids), b"")
            self.transport.write(_JSON % (len(whole), whole))

    def stream(self, number: int, paced: bool) -> None:
        self.transport.write(_EVENTS)
        if paced:
            self.send_paced(number, 0)
        else:
            chunks = [_event(_CHUNK % (number, b".chunk", time.monotonic_ns())) for _ in range(CHUNKS)]
            self.transport.write(b"".join([*chunks, self.end(number)]))

    def send_paced(self, number: int, sent: int) -> None:
        if self.transport.is_closing():
            return
        if sent == CHUNKS:
            self.transport.write(self.end(number))
            return
        self.transport.write(_event(_CHUNK % (number, b".chunk", time.monotonic_ns())))
        asyncio.get_running_loop().call_later(PACE_S, self.send_paced, number, sent + 1)

    def end(self, number: int) -> bytes:
        return _event(_LAST % (number, b".chunk")) + _event(b"[DONE]") + b"0\r\n\r\n"


def content_length(head: bytes) -> int:
    """Bytes of the body that ``head`` announces; 0 when it announces none."""
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    return 0 if start < 0 else int(lowered[start + 15 :].split(b"\r\n", 1)[0])


def _event(data: bytes) -> bytes:
    """A server-sent event as one chunk of HTTP's chunked transfer."""
    return b"%x\r\ndata: %b\n\n\r\n" % (len(data) + 8, data)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    exit_with_parent()
    uvloop.run(serve(int(sys.argv[1])))
