"""The load: one process over bare connections, so cheap that it does not bound what it measures.

    python -m benchmarks.gateway.load '{"port": 4040, "kind": "whole", "connections": 16, "seconds": 3}'

Each connection sends its next request when the last one is answered. Every request differs from all others in its user
and text. Counts what was answered within the window between warming up and the end, together with the processor time
that the server's processes used in that window. Prints one JSON document; with ``progress_s`` a line before it each so
many seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import psutil
import uvloop
from benchmarks.gateway.upstream import PACED, content_length

from loopwise.compute.parent import SUPERVISED, exit_with_parent

Kind = Literal["whole", "stream", "paced", "mixed", "feedback", "feedback-list"]
LIST = 100  # feedback objects in one request of the kind feedback-list
STREAM_EVERY = 10  # of the kind mixed
PATIENCE_S = 60.0
TEXT = b"why do the leaves turn yellow and fall? " * 5
_MARK = re.compile(rb"@(\d+)@")


@dataclass(frozen=True)
class Load:
    """What to send. ``most`` requests end it before ``seconds`` do. ``start`` numbers the first request. ``watch`` is
    the process whose processor time, with its children's, is counted. ``names`` are exchanges that feedback is about.
    """

    port: int
    kind: Kind
    connections: int
    seconds: float
    warm_s: float = 0.0
    most: int | None = None
    start: int = 0
    watch: int | None = None
    names: tuple[str, ...] = ()
    episodes: bool = False  # four requests make one; the gateway then sees follow-up turns and records them
    progress_s: float | None = None


@dataclass(frozen=True)
class Request:
    wire: bytes
    streams: bool = False


class Run:
    """What the connections share."""

    def __init__(self, load: Load):
        self.requests = itertools.islice(requests(load), load.most)
        self.open = load.connections
        self.stopping = False
        self.answered = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reset()

    def reset(self) -> None:
        self.counted = 0
        self.whole_s: list[float] = []
        self.first_s: list[float] = []
        self.chunk_s: list[float] = []

    def next(self) -> Request | None:
        return None if self.stopping else next(self.requests, None)

    def closed(self) -> None:
        self.open -= 1
        if self.open == 0 and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, sentence: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(RuntimeError(sentence))


class Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: Run):
        self.run = run
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting:
            self.run.fail(f"the connection closed before the answer: {exc or self.buffer[:300]!r}")

    def ask(self) -> None:
        request = self.run.next()
        self.waiting = request is not None
        if request is None:
            self.transport.close()
            self.run.closed()
            return
        self.buffer, self.seen, self.streams = b"", 0, request.streams
        self.began = time.perf_counter()
        self.transport.write(request.wire)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.answered_stream() if self.streams else self.answered_whole():
            if self.buffer[9:10] != b"2":
                self.run.fail(f"a request was refused: {self.buffer[:600]!r}")
                return
            self.run.whole_s.append(time.perf_counter() - self.began)
            self.run.counted += 1
            self.run.answered += 1
            self.ask()

    def answered_whole(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        return end >= 0 and len(self.buffer) >= end + 4 + content_length(self.buffer[:end])

    def answered_stream(self) -> bool:
        """Notes each chunk's way from the model to here, and whether the stream is complete."""
        now_ns = time.monotonic_ns()
        for mark in _MARK.finditer(self.buffer, self.seen):
            if self.seen == 0:
                self.run.first_s.append(time.perf_counter() - self.began)
            self.run.chunk_s.append((now_ns - int(mark[1])) / 1e9)
            self.seen = mark.end()
        if self.buffer.endswith(b"0\r\n\r\n"):
            if b"[DONE]" not in self.buffer:
                self.run.fail(f"a stream ended without [DONE]: {self.buffer[-600:]!r}")
            return True
        return self.buffer[9:10] not in (b"2", b"") and self.answered_whole()


def requests(load: Load) -> Iterator[Request]:
    if load.kind in ("feedback", "feedback-list"):
        return feedback_requests(load)
    return (chat_request(load, number) for number in itertools.count(load.start))


def chat_request(load: Load, number: int) -> Request:
    """About half a kilobyte."""
    streams = load.kind in ("stream", "paced") or (load.kind == "mixed" and number % STREAM_EVERY == 0)
    episode = b'"metadata":{"episode_id":"episode-%012d"},' % (number // 4) if load.episodes else b""
    body = (
        b'{"model":"loopwise","stream":%b,"user":"user-%05d",%b"messages":['
        b'{"role":"system","content":"You answer briefly and say where you are not sure."},'
        b'{"role":"user","content":"Question %012d, asked %b: ' + TEXT + b'"}]}'
    ) % (
        b"true" if streams else b"false", number // 4 % 20_000, episode, number,
        PACED if load.kind == "paced" else b"at the pace of the net",
    )  # fmt: skip
    return Request(post(load.port, b"/v1/chat/completions", body), streams)


def feedback_requests(load: Load) -> Iterator[Request]:
    """Thumbs, on the exchanges named, in turn. Ids and times are given by the server."""
    opinions = [
        {"exchange_id": name, "kind": "thumbs", "value": 1 if i % 3 else -1, "user": f"user-{i:05d}"}
        for i, name in enumerate(load.names)
    ]
    bodies: list[Any] = opinions
    if load.kind == "feedback-list":
        bodies = [[opinions[(LIST * i + k) % len(opinions)] for k in range(LIST)] for i in range(16)]
    wires = [post(load.port, b"/v1/feedback", json.dumps(body).encode()) for body in bodies]
    return (Request(wire) for wire in itertools.cycle(wires))


def post(port: int, path: bytes, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer none\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b"
    ) % (path, port, len(body), body)


def processor_s(pid: int | None) -> float:
    """Seconds of processor time that a process and its children have used."""
    if pid is None:
        return 0.0
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


async def run(load: Load) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    shared = Run(load)
    for _ in range(load.connections):
        await loop.create_connection(lambda: Asking(shared), "127.0.0.1", load.port)
    await asyncio.wait({shared.finished}, timeout=load.warm_s)
    before_s, own_s = processor_s(load.watch), time.process_time()
    shared.reset()
    began = time.perf_counter()
    telling = loop.create_task(tell(shared, load.progress_s)) if load.progress_s else None
    await asyncio.wait({shared.finished}, timeout=load.seconds)
    while not shared.counted and time.perf_counter() - began < PATIENCE_S:  # a first request may take long
        await asyncio.wait({shared.finished}, timeout=0.05)
    seconds, counted = time.perf_counter() - began, shared.counted
    used_s, own_s = processor_s(load.watch) - before_s, time.process_time() - own_s
    found = {name: summary(values) for name, values in timings(shared).items() if values}
    shared.stopping = True
    await asyncio.wait_for(shared.finished, PATIENCE_S)
    if telling:
        telling.cancel()
    return {
        "answered": shared.answered, "counted": counted, "seconds": seconds, "per_s": counted / seconds,
        "server_cpu_s": used_s, "load_cpu_s": own_s, **found,
    }  # fmt: skip


def timings(shared: Run) -> dict[str, list[float]]:
    return {"whole_ms": shared.whole_s, "first_ms": shared.first_s, "chunk_ms": shared.chunk_s}


def summary(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    at = {name: ordered[int((len(ordered) - 1) * share)] for name, share in SHARES.items()}
    return {"n": len(ordered), **{name: 1000 * value for name, value in at.items()}}


SHARES = {"median": 0.5, "p95": 0.95, "p99": 0.99, "most": 1.0}


async def tell(shared: Run, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        print(json.dumps({"answered": shared.answered}), flush=True)


def supervised() -> dict[str, str]:
    """The environment of a child that ends with us, however we end."""
    return {**os.environ, SUPERVISED: "1"}


def measured(load: Load, told: Callable[[int], None] | None = None) -> dict[str, Any]:
    """What a load process found; ``told`` is called with the number answered at each line of progress.

    Raises RuntimeError with its last words where it fails."""
    command = [sys.executable, "-m", "benchmarks.gateway.load", json.dumps(asdict(load))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=supervised()) as process:
        try:
            found: dict[str, Any] = {}
            for line in process.stdout or ():
                found = json.loads(line)
                if told and "counted" not in found:
                    told(found["answered"])
            words = process.stderr.read() if process.stderr else ""
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        last = words.strip().splitlines()[-1:] or ["it printed nothing"]
        raise RuntimeError(f"The load {load.kind!r} on port {load.port} failed: {last[0]}")
    return found


if __name__ == "__main__":
    exit_with_parent()
    print(json.dumps(uvloop.run(run(Load(**json.loads(sys.argv[1]))))))
