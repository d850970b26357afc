"""What the gateway costs: requests per second and added latency, every exchange on disk before its answer completes.

    python benchmarks/gateway.py [--rounds 5] [--requests 1500] [--out FOLDER]

A server with a fixed answer stands for the model, so that the gateway is all that differs. Each round measures the
server directly and then through the gateway, whole and streamed, at 1 and at 32 requests at once; figures are medians
over the rounds with their range. Server, gateway and client are processes on one machine and share its cores. The last
table compares httpx with aiohttp as the client, which decided what the gateway speaks to the model with.
Writes gateway.json and gateway.png.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import httpx
import matplotlib.pyplot as plt
import uvicorn
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import Upstream
from loopwise.release import promote, register
from loopwise.store import Store, exchanges
from loopwise.types import JsonObject, Release

CONCURRENCIES = (1, 32)
WORDS = [f"word{n} " for n in range(16)]
HEAD: JsonObject = {"id": "u", "created": 1, "model": "m", "system_fingerprint": "sha256:f0"}
Post = Callable[[str, JsonObject], Awaitable[None]]


@dataclass(frozen=True)
class Cell:
    """One way of asking over all rounds: requests per second, and milliseconds per request (median of each round)."""

    path: str
    stream: bool
    concurrency: int
    requests_per_s: list[float]
    latency_ms: list[float]


async def fixed_answer(request: Request) -> Response:
    body = await request.json()
    if body.get("stream"):
        return StreamingResponse(fixed_stream(), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(WORDS)}
    return JSONResponse({**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def fixed_stream() -> AsyncIterator[bytes]:
    for word in [*WORDS, None]:
        choice = {"index": 0, "delta": {"content": word} if word else {}, "finish_reason": None if word else "stop"}
        yield b"data: " + json.dumps({**HEAD, "choices": [choice]}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def run_model(listener: socket.socket) -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", fixed_answer, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


def run_gateway(listener: socket.socket, root: Path, model_url: str) -> None:
    app = create_app(Store("sqlite:///loopwise.db", root), Upstream(model_url, None, "embedded", "m"))
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


def listening() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


async def ask_many(post: Post, url: str, stream: bool, concurrency: int, n: int) -> tuple[float, float]:
    """(requests per second, median milliseconds) of ``n`` requests."""
    body = {
        "model": "loopwise",
        "stream": stream,
        "user": "u",
        "messages": [{"role": "user", "content": "hello " * 20}],
    }
    waiting = iter(range(n))
    latencies: list[float] = []

    async def work() -> None:
        for _ in waiting:
            started = time.perf_counter()
            await post(f"{url}/v1/chat/completions", body)
            latencies.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return n / (time.perf_counter() - started), statistics.median(latencies) * 1000


async def with_aiohttp(measure: Callable[[Post], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(url: str, body: JsonObject) -> None:
            async with session.post(url, json=body) as response:
                content = await response.read()
            if response.status != 200:
                raise SystemExit(f"The benchmark was refused: {content!r}")

        return await measure(post)


async def with_httpx(measure: Callable[[Post], Awaitable[tuple[float, float]]]) -> tuple[float, float]:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=None)) as client:

        async def post(url: str, body: JsonObject) -> None:
            (await client.post(url, json=body)).raise_for_status()

        return await measure(post)


def measure_all(urls: dict[str, str], rounds: int, n: int) -> list[Cell]:
    """Every way of asking, interleaved: what slows the machine for a while then slows all of them."""
    cells = [Cell(path, stream, c, [], []) for stream in (False, True) for c in CONCURRENCIES for path in urls]
    for round_ in range(rounds + 1):
        for cell in cells:
            url, size = urls[cell.path], size_of(cell, n)
            ask = partial(ask_many, url=url, stream=cell.stream, concurrency=cell.concurrency, n=size)
            speed, latency = asyncio.run(with_aiohttp(ask))
            if round_ > 0:  # the first warms up
                cell.requests_per_s.append(speed)
                cell.latency_ms.append(latency)
    return cells


def size_of(cell: Cell, n: int) -> int:
    """Requests in one measurement: fewer where they go one by one."""
    return n if cell.concurrency > 1 else n // 5


def measure_clients(url: str, rounds: int, n: int) -> list[Cell]:
    clients = {"aiohttp": with_aiohttp, "httpx": with_httpx}
    cells = [Cell(name, False, 32, [], []) for name in clients]
    for round_ in range(rounds + 1):
        for cell in cells:
            speed, latency = asyncio.run(clients[cell.path](lambda post: ask_many(post, url, False, 32, n)))
            if round_ > 0:
                cell.requests_per_s.append(speed)
                cell.latency_ms.append(latency)
    return cells


def sync_ms(folder: Path, n: int = 50) -> float:
    """Median milliseconds of one fsync, which bounds what durable recording can do."""
    taken: list[float] = []
    with (folder / "probe").open("wb") as file:
        for _ in range(n):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def ranged(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"  # noqa: RUF001


def show(cells: list[Cell], clients: list[Cell]) -> None:
    console = Console()
    for title, rows in (("Direct and through the gateway", cells), ("Client against the server", clients)):
        table = Table("path", "stream", "at once", "requests/s", "ms per request", title=f"{title}: median (range)")
        for cell in rows:
            speeds, latencies = ranged(cell.requests_per_s, 0), ranged(cell.latency_ms, 2)
            table.add_row(cell.path, "yes" if cell.stream else "no", str(cell.concurrency), speeds, latencies)
        console.print(table)


def draw(cells: list[Cell], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    labels = [f"{c.path}\n{'stream' if c.stream else 'whole'}, {c.concurrency}" for c in cells]
    for axis, name, values in (
        (axes[0], "requests per second", [cell.requests_per_s for cell in cells]),
        (axes[1], "milliseconds per request", [cell.latency_ms for cell in cells]),
    ):
        medians = [statistics.median(v) for v in values]
        below = [median - min(v) for median, v in zip(medians, values, strict=True)]
        above = [max(v) - median for median, v in zip(medians, values, strict=True)]
        colors = ["#9aa6a1" if cell.path == "direct" else "#2f6f5e" for cell in cells]
        axis.bar(labels, medians, yerr=[below, above], color=colors, capsize=3)
        axis.set_title(f"{name}: median and range", fontsize=10)
        axis.set_yscale("log")
        axis.tick_params(axis="x", labelsize=7)
    figure.savefig(path, dpi=150)


def measured(rounds: int, n: int) -> JsonObject:
    """Starts server and gateway, measures both, and counts what was recorded."""
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        store = Store("sqlite:///loopwise.db", root, create=True)
        register(store, Release("m@0", "candidate", None, None, "sha256:f0", "", 1.0), "benchmark", "made")
        promote(store, "m@0", "benchmark", "made")
        (model_socket, model_url), (gateway_socket, gateway_url) = listening(), listening()
        processes = [
            context.Process(target=run_model, args=(model_socket,)),
            context.Process(target=run_gateway, args=(gateway_socket, root, model_url)),
        ]
        for process in processes:
            process.start()
        try:
            cells = measure_all({"direct": model_url, "gateway": gateway_url}, rounds, n)
            clients = measure_clients(model_url, rounds, n)
            fsync_ms = sync_ms(root)
        finally:
            for process in processes:
                process.terminate()
                process.join()
        with store.reading() as conn:
            recorded = exchanges.count(conn)
        store.close()
    sent = sum(size_of(cell, n) for cell in cells if cell.path == "gateway") * (rounds + 1)
    return {"cells": cells, "clients": clients, "fsync_ms": fsync_ms, "recorded": recorded, "sent": sent}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    load_before = os.getloadavg()[0]
    found = measured(asked.rounds, asked.requests)
    show(found["cells"], found["clients"])
    print(f"recorded {found['recorded']} of {found['sent']} exchanges; one fsync takes {found['fsync_ms']:.2f} ms here")
    asked.out.mkdir(parents=True, exist_ok=True)
    draw(found["cells"], asked.out / "gateway.png")
    packages = ("starlette", "uvicorn", "aiohttp", "httpx", "sqlalchemy")
    written = {
        "settings": {"rounds": asked.rounds, "requests": asked.requests, "words_streamed": len(WORDS)},
        "machine": {"cores": os.cpu_count(), "machine": platform.machine(), "load_before": load_before},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        **found,
        "cells": [asdict(cell) for cell in found["cells"]],
        "clients": [asdict(cell) for cell in found["clients"]],
    }
    (asked.out / "gateway.json").write_text(json.dumps(written, indent=1) + "\n")
    return 0 if found["recorded"] == found["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
