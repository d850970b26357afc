"""What access costs a request: keys, roles, limits and origins, and uvicorn's protocol with and without patience.

    python benchmarks/access.py

Microseconds of processor time, medians over rounds that take turns; no sockets, no model, no store but the keys'.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from loopwise.gateway.access import Access
from loopwise.gateway.keyring import Keyring
from loopwise.gateway.limits import Limits
from loopwise.gateway.patience import PatientProtocol
from loopwise.store import Store, keys

ROUNDS, REQUESTS = 9, 10_000
HEADERS = {
    "host": "127.0.0.1:4040", "accept-encoding": "gzip, deflate", "connection": "keep-alive", "accept": "*/*",
    "content-type": "application/json", "user-agent": "OpenAI/Python 3", "x-stainless-lang": "python",
    "x-stainless-os": "Linux", "x-stainless-async": "false", "content-length": "2",
}  # fmt: skip


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def nothing(_: Any = None) -> None: ...


def through(middleware: Any, key: str | None) -> Callable[[], Awaitable[None]]:
    headers = {**HEADERS, **({"authorization": f"Bearer {key}"} if key else {})}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def one() -> None:
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": raw}
        await middleware(scope, nothing, nothing)

    return one


class Wire(asyncio.Transport):
    """A transport that takes everything and keeps nothing."""

    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


def over(protocol_class: type[HttpToolsProtocol]) -> Callable[[], Awaitable[None]]:
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    request = f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n{{}}".encode()
    protocol = protocol_class(uvicorn.Config(app, access_log=False, lifespan="off"), ServerState(), {})
    protocol.connection_made(Wire())

    async def one() -> None:
        protocol.data_received(request)
        while not protocol.cycle.response_complete:
            await asyncio.sleep(0)

    return one


async def microseconds(one: Callable[[], Awaitable[None]]) -> float:
    began = time.process_time()
    for _ in range(REQUESTS):
        await one()
    return (time.process_time() - began) / REQUESTS * 1e6


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store("sqlite:///loopwise.db", Path(folder), create=True)
        without = Store("sqlite:///without.db", Path(folder), create=True)
        unlocked = Access(app, Keyring(without), Limits(1_000), [])
        with store.writing() as conn:
            _, plain = keys.make(conn, "plain", "app", 0.0)
            _, limited = keys.make(conn, "limited", "app", 0.0, per_minute=10**9, at_once=100)
        keyring = Keyring(store)
        locked = Access(app, keyring, Limits(1_000), [])
        listed = Access(app, keyring, Limits(1_000), ["https://app.example"])
        kinds = {
            "nothing in front": through(app, None),
            "access without keys": through(unlocked, None),
            "access with a key": through(locked, plain),
            "access with a key's limits": through(locked, limited),
            "access with limits and origins": through(listed, limited),
            "uvicorn's protocol": over(HttpToolsProtocol),
            "with patience": over(PatientProtocol),
        }
        seen: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(ROUNDS):
            for name, one in kinds.items():
                seen[name].append(await microseconds(one))
        await keyring.close()
        store.close()
        without.close()
    print(json.dumps({name: round(statistics.median(found), 2) for name, found in seen.items()}, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
