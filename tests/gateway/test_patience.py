"""Slow clients on real sockets, with limits of fractions of a second."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.patience import Patience
from loopwise.gateway.server import server_config
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.types import Exchange
from scripted import Model

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
LATE = "The request's {} was not whole after {} s: send it faster, or less of it."
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def echo(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def large(_: Request) -> Response:
    return Response(b"x" * 30_000_000)


async def many(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 100_000

    return StreamingResponse(pieces())


async def short(_: Request) -> Response:
    return Response(b"x" * 50_000)


async def early(_: Request) -> Response:
    return PlainTextResponse("no need to read it", 401)


APP = Starlette(
    routes=[
        Route("/", echo, methods=["GET", "POST"]),
        Route("/large", large),
        Route("/short", short),
        Route("/many", many),
        Route("/early", early, methods=["POST"]),
        Route("/healthz", echo),
    ]
)


@contextmanager
def served(app: Starlette, patience: Patience, sent: int | None = None) -> Iterator[tuple[int, uvicorn.Server]]:
    """The port of the app while it is served as the gateway serves it; the kernel keeps ``sent`` bytes for a reader."""
    listener = socket.create_server(("127.0.0.1", 0))
    if sent is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sent)
    server = uvicorn.Server(server_config(app, patience))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(APP, Patience(head_s=0.3, head_bytes=5_000, body_s=0.4, body_bytes=50_000, idle_s=1)) as (port, _):
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5.0)


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    content = b""
    try:
        while piece := connection.recv(65_536):
            content += piece
    except ConnectionResetError:
        pass
    return content


def told(answer: bytes) -> tuple[int, str]:
    """Status and message of an error in OpenAI's form."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["message"]


def trickled(connection: socket.socket, pieces: list[bytes], every_s: float) -> bytes:
    """What comes back while ``pieces`` go out one by one, until the server closes."""
    stop = threading.Event()

    def send() -> None:
        for piece in pieces:
            if stop.wait(every_s):
                return
            try:
                connection.sendall(piece)
            except OSError:
                return

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return rest(connection)
    finally:
        stop.set()
        sender.join()


@pytest.mark.parametrize("begun", [b"GET /a", GET, b"\r\n"])
def test_a_head_that_trickles_is_ended_with_408(port: int, begun: bytes):
    with connect(port) as connection:
        connection.sendall(begun)
        began = time.monotonic()
        status, message = told(trickled(connection, [b"a" if begun != b"\r\n" else b"\r\n"] * 100, 0.05))
        assert (status, message) == (
            408,
            LATE.format("head", "0.3"),
        )
        assert 0.15 < time.monotonic() - began < 2.0


def test_a_connection_that_never_asks_is_closed_without_a_word(port: int):
    with connect(port) as connection:
        assert rest(connection) == b""


def test_the_next_head_on_a_kept_connection_has_its_limit_too(port: int):
    with connect(port) as connection:
        connection.sendall(GET + b"\r\n")
        assert b"0 bytes" in connection.recv(65_536)
        connection.sendall(GET)
        assert told(rest(connection))[0] == 408


def test_a_body_that_trickles_is_ended_with_408(port: int):
    with connect(port) as connection:
        connection.sendall(POST)
        began = time.monotonic()
        status, message = told(trickled(connection, [b"a"] * 100, 0.05))
        assert (status, message) == (
            408,
            LATE.format("body", "0.4"),
        )
        assert 0.25 < time.monotonic() - began < 2.0


def test_a_request_in_pieces_that_is_whole_in_time_is_answered(port: int):
    with connect(port) as connection:
        for _ in range(3):
            for piece in (POST[:10], POST[10:], b"a" * 500, b"a" * 500):
                connection.sendall(piece)
                time.sleep(0.05)
            assert connection.recv(65_536).endswith(b"1000 bytes")


def test_an_idle_connection_is_closed_after_its_time_and_not_before(port: int):
    with connect(port) as connection:
        connection.sendall(GET + b"\r\n")
        connection.recv(65_536)
        began = time.monotonic()
        assert rest(connection) == b""
        assert 0.8 < time.monotonic() - began < 3.0  # beyond the 0.3 s that a head may take


@pytest.mark.parametrize("head", [GET + b"x: " + b"a" * 20_000, b"GET /" + b"a" * 20_000, GET + b"a: b\r\n" * 4_000])
def test_a_head_without_end_is_refused_by_its_size(port: int, head: bytes):
    with connect(port) as connection:
        status, message = told(trickled(connection, [head[i : i + 1_000] for i in range(0, 20_000, 1_000)], 0.001))
        assert (status, message) == (431, "The request's head is over 5000 bytes: send less.")


def test_a_body_without_end_is_refused_by_its_size(port: int):
    with connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"3e8\r\n" + b"a" * 1_000 + b"\r\n"
        status, message = told(trickled(connection, [chunk] * 100, 0.001))
        assert (status, message) == (413, "The request's body is over 50000 bytes: send less at once.")


def test_a_body_that_goes_on_after_its_answer_is_cut_off_without_a_second_one(port: int):
    with connect(port) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        answer = trickled(connection, [b"a" * 1_000] * 1_000, 0.001)
        assert answer.startswith(b"HTTP/1.1 401")
        assert answer.count(b"HTTP/1.1") == 1


def test_what_is_no_http_is_refused_in_openais_form(port: int):
    with connect(port) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert told(rest(connection)) == (400, "What was sent is not HTTP/1.1: see what sends it.")


@pytest.mark.parametrize("wish", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("path", [b"/large", b"/short"])  # more and less than the transport lets wait unasked
def test_a_reader_that_takes_nothing_is_cut_off(path: bytes, wish: bytes):
    patience = Patience(taken_s=0.3, idle_s=1)
    with served(APP, patience, sent=4_096) as (port, server), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(5.0)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + wish + b"\r\n")
        until(lambda: len(server.server_state.connections) == 1)
        until(lambda: not server.server_state.connections)
        assert len(rest(connection)) < 50_000


def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s
        time.sleep(0.01)


@pytest.mark.parametrize("path", [b"/large", b"/many"])
def test_a_reader_that_takes_its_time_but_takes_gets_everything(path: bytes):
    with served(APP, Patience(taken_s=0.2)) as (port, _), connect(port) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        length = 0
        while piece := connection.recv(1 << 20):
            length += len(piece)
            time.sleep(0.03 if length < 20_000_000 else 0.0)
        assert length > 30_000_000


def test_connections_over_the_limit_get_503_but_liveness_answers():
    with served(APP, Patience(connections=2)) as (port, _):
        held = [connect(port) for _ in range(2)]
        for connection in held:
            connection.sendall(GET + b"\r\n")
            assert b"200 OK" in connection.recv(65_536)
        with connect(port) as third:
            third.sendall(GET + b"\r\n")
            status, message = told(rest(third))
            assert (status, message) == (503, "Over 2 connections are open: close those you do not use, and try again.")
        with connect(port) as prober:
            prober.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert rest(prober).startswith(b"HTTP/1.1 200")
        more = [connect(port) for _ in range(2)]
        with connect(port) as beyond:  # over twice as many: not even that
            assert rest(beyond) == b""
        for connection in held + more:
            connection.close()


class Flood:
    """A model that never stops talking, a megabyte at a time."""

    def __init__(self) -> None:
        self.canceled = threading.Event()

    async def chat(self, _: Request) -> Response:
        return StreamingResponse(self._chunks(), media_type="text/event-stream")

    async def _chunks(self) -> AsyncIterator[bytes]:
        delta = {"index": 0, "delta": {"content": "x" * 1_000_000}, "finish_reason": None}
        chunk = {"id": "c", "model": "m", "system_fingerprint": "sha256:00", "choices": [delta]}
        event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        try:
            while True:
                yield event
                await asyncio.sleep(0.005)
        finally:
            self.canceled.set()


def test_a_stream_that_nobody_takes_is_ended_and_recorded_as_a_hang_up(
    store: Store, recorded: Callable[[], list[Exchange]]
):
    flood = Flood()
    model = Starlette(routes=[Route("/v1/chat/completions", flood.chat, methods=["POST"])])
    body = json.dumps({"model": "loopwise", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with served(model, Patience()) as (behind, _):
        app = create_app(store, Upstream(f"http://127.0.0.1:{behind}", None, "embedded", "tiny"))
        with served(app, Patience(taken_s=0.3)) as (port, server), connect(port) as connection:
            connection.sendall(head + body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            assert flood.canceled.wait(10.0)
            until(lambda: bool(recorded()))
            until(lambda: not server.server_state.tasks)
    [exchange] = recorded()
    assert exchange.status == 499
    assert "hung up" in str(exchange.error)


def test_a_client_that_goes_away_in_its_request_leaves_no_error_behind(
    gateway_port: int, caplog: pytest.LogCaptureFixture, model: Model
):
    with connect(gateway_port) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        status, message = told(rest(connection))
    assert (status, message) == (408, LATE.format("body", "0.4"))
    with connect(gateway_port) as connection:
        connection.sendall(b"POST /v1/feedback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
    with connect(gateway_port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in rest(connection)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert model.seen == []


@pytest.fixture
def gateway_port(store: Store, model: Model) -> Iterator[int]:
    app = create_app(store, Upstream(model.url, None, "embedded", "tiny"))
    with served(app, Patience(head_s=0.3, body_s=0.4)) as (port, _):
        yield port
