"""How long a client may take: for a request's head, for its body, to take what it is sent, and between requests.

Every answer in the making costs memory, a socket, and often a model's time; a client that is slow on purpose
("slowloris") would hold as many as it opens. The limits are kept where the bytes are, in uvicorn's protocol: one timer
for what is read and one for what is written, none of them for a request that comes in one piece.
"""

from __future__ import annotations

import json
from asyncio import TimerHandle, Transport
from dataclasses import dataclass
from typing import Any, Literal, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from loopwise.gateway.errors import ApiError, error_response

_Part = Literal["idle", "head", "body"]


@dataclass(frozen=True)
class Patience:
    """The limits. Times are in seconds."""

    # A head is under a few kilobytes: 15 s take the slowest phone, and a handshake that was lost and sent again.
    head_s: float = 15.0
    head_bytes: int = 65_536  # the parser has no limit of its own; nginx' four buffers hold half of it
    # 20 MB of images in a minute are 2.7 Mbit/s: a poor line upwards.
    body_s: float = 60.0
    body_bytes: int = 1 << 25
    # Of what waits for it, a reader takes ``taken_bytes`` in this time, or all. That is 1 kB/s: a third of the slowest
    # modem; and what waits of a stream is hardly more.
    taken_s: float = 60.0
    taken_bytes: int = 65_536
    # Longer than the clients' pools keep a connection (httpx 5 s, aiohttp 15 s, Node 4 s): they close it, not we, so
    # that no request meets the closing.
    idle_s: int = 75
    connections: int = 4_000  # as many wait in vain for their turn as run, twice over, at [gateway] requests' default


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with ``patience``. What breaks a limit is told 408, 413, 431 or 503 where that is still
    possible, and cut off."""

    patience = Patience()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._reading: _Part = "idle"
        self._timed: _Part = "idle"  # what the timer is for
        self._read_timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._whole_app: Any = self.app

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        crowd = len(self.connections)
        if crowd > 2 * self.patience.connections:
            transport.abort()
            return
        if crowd > self.patience.connections:
            self.app = self._crowded
        self._arm("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._reading
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._reading == "head" or (self._reading == "idle" and self._waits_for_request()):
            self._head_bytes += len(data) if before == self._reading else 0  # the rest of the last request came along
            if self._head_bytes > self.patience.head_bytes:
                self._end(ApiError(431, f"The request's head is over {self.patience.head_bytes} bytes: send less."))
            elif self._timed != "head":
                self._arm("head")
        elif self._reading == "body":
            if self._timed != "body":
                self._arm("body")
        elif self._read_timer is not None:
            self._disarm()

    def send_400_response(self, msg: str) -> None:
        self._end(ApiError(400, "What was sent is not HTTP/1.1: see what sends it."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = "head"

    def on_headers_complete(self) -> None:
        self._reading = "body"
        self._timed = "idle"
        self._head_bytes = self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= self.patience.body_bytes:
            super().on_body(body)
        elif not self.transport.is_closing():
            sentence = f"The request's body is over {self.patience.body_bytes} bytes: send less at once."
            self._end(ApiError(413, sentence, code="body_too_large"))

    def on_message_complete(self) -> None:
        self._reading = "idle"
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._hurry()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._hurry()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None and not self.transport.is_closing():
            self._write_timer.cancel()
            self._write_timer = None

    def _waits_for_request(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _arm(self, what: Literal["head", "body"]) -> None:
        self._disarm()
        self._timed = what
        limit_s = self.patience.head_s if what == "head" else self.patience.body_s
        self._read_timer = self.loop.call_later(limit_s, self._too_slow)

    def _disarm(self) -> None:
        self._timed = "idle"
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if self._reading == "idle" and self._head_bytes == 0:
            self.transport.close()  # it never asked: browsers open connections ahead, and expect no answer
            return
        what, limit_s = self._timed, self.patience.head_s if self._timed == "head" else self.patience.body_s
        sentence = f"The request's {what} was not whole after {limit_s:g} s: send it faster, or less of it."
        self._end(ApiError(408, sentence, code="request_timeout"))

    def _hurry(self) -> None:
        """From now on the reader must take what waits. A transport that closes would wait for it for ever."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and self._write_timer is None:
            self._write_timer = self.loop.call_later(self.patience.taken_s, self._look_after, waiting)

    def _look_after(self, waited: int) -> None:
        """Cuts the connection off where too little of ``waited`` bytes was taken."""
        self._write_timer = None
        if waited - self.transport.get_write_buffer_size() < self.patience.taken_bytes:
            self.transport.abort()
        else:
            self._hurry()

    def _end(self, error: ApiError) -> None:
        """Closes the connection, with an answer where none has begun."""
        self._disarm()
        if self._unanswered():
            content = json.dumps(error.body()).encode()
            headers = {"content-type": "application/json", "connection": "close", **error.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
            length = b"content-length: %d\r\n\r\n" % len(content)
            self.transport.write(STATUS_LINE[error.status] + head + length + content)
        if self.cycle is not None and not self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            self.cycle.disconnected = True  # before the loop says so: nothing more may be written
            self.cycle.message_event.set()
        self.transport.close()
        self._hurry()

    def _unanswered(self) -> bool:
        """Whether what is being read has no answer yet, and no other one is being written."""
        if self.cycle is None:  # pyright: ignore[reportUnnecessaryComparison]
            return True
        return not self.cycle.response_started if self._reading == "body" else self.cycle.response_complete

    async def _crowded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers in place of the application: too many connections are open."""
        if scope["path"] == "/healthz":  # a crowded gateway is alive
            await self._whole_app(scope, receive, send)
            return
        sentence = f"Over {self.patience.connections} connections are open: close those you do not use, and try again."
        headers = {"Retry-After": "1", "connection": "close"}
        await error_response(ApiError(503, sentence, code="overloaded", headers=headers))(scope, receive, send)


def patient(patience: Patience) -> type[PatientProtocol]:
    """The protocol with these limits, as uvicorn's ``http``."""
    return cast(type[PatientProtocol], type("PatientProtocol", (PatientProtocol,), {"patience": patience}))
