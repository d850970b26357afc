"""The bare recording proxy: the limit for this language and these libraries.

    python -m benchmarks.gateway.bare PORT UPSTREAM_URL DATABASE

The gateway's server and client libraries, one durable insert per request in groups (SQLite, WAL,
``synchronous=FULL``), and nothing else: no parsing, no checks. A stream is passed on as it comes and recorded before it
ends.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from loopwise.compute.parent import exit_with_parent

Row = tuple[str, float, bytes, bytes]
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Unit:
    """Rows that are waited for together."""

    rows: list[Row]
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[None]


class Writer:
    """Whatever waits goes into one transaction."""

    def __init__(self, path: str):
        self.waiting: queue.SimpleQueue[Unit] = queue.SimpleQueue()
        threading.Thread(target=self.run, args=(path,), daemon=True).start()

    async def write(self, rows: list[Row]) -> None:
        loop = asyncio.get_running_loop()
        unit = Unit(rows, loop, loop.create_future())
        self.waiting.put(unit)
        await unit.written

    def run(self, path: str) -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, at REAL, request BLOB, response BLOB)")
        while True:
            group = [self.waiting.get()]
            while not self.waiting.empty():
                group.append(self.waiting.get())
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", [row for unit in group for row in unit.rows])
            database.execute("COMMIT")
            group[0].loop.call_soon_threadsafe(wake, group)


def wake(group: list[Unit]) -> None:
    for unit in group:
        unit.written.set_result(None)


def row(request: bytes, response: bytes = b"") -> Row:
    return (uuid.uuid4().hex, time.time(), request, response)


async def chat(request: Request) -> Response:
    state = request.app.state
    body = await request.body()
    response = await state.session.post(f"{state.upstream}/chat/completions", data=body, headers=JSON)
    if response.content_type == "text/event-stream":
        return StreamingResponse(passed_on(state.writer, body, response), media_type="text/event-stream")
    async with response:
        answer = await response.read()
    await state.writer.write([row(body, answer)])
    return Response(answer, media_type="application/json")


async def passed_on(writer: Writer, body: bytes, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    pieces: list[bytes] = []
    async with response:
        async for piece in response.content.iter_any():
            pieces.append(piece)
            yield piece
    await writer.write([row(body, b"".join(pieces))])


async def feedback(request: Request) -> Response:
    """A list is taken apart, since each of its rows is one in the table."""
    body = await request.body()
    rows = [row(body)] if body.startswith(b"{") else [row(json.dumps(item).encode()) for item in json.loads(body)]
    await request.app.state.writer.write(rows)
    return Response(b"{}", media_type="application/json")


async def healthz(_: Request) -> Response:
    return Response(b"ok")


def make(upstream: str, path: str) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        app.state.upstream, app.state.writer = upstream, Writer(path)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as app.state.session:
            yield

    posts = {"/v1/chat/completions": chat, "/v1/feedback": feedback}
    routes = [Route(route, answer, methods=["POST"]) for route, answer in posts.items()]
    return Starlette(routes=[*routes, Route("/healthz", healthz)], lifespan=lifespan)


if __name__ == "__main__":
    exit_with_parent()
    app = make(sys.argv[2], sys.argv[3])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
