"""Many exchanges in a row, a tenth of them streamed: memory and throughput over time."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from benchmarks.gateway import servers
from benchmarks.gateway.kept import Cell, Kept, Say, Sizes
from benchmarks.gateway.load import Load, measured

SETTLED = 0.1  # the share of the exchanges after which memory should have stopped growing: 20,000 of 200,000
SAMPLE_S = 1.0
FOREVER_S = 86_400.0


def soak(kept: Kept, sizes: Sizes, folder: Path, say: Say) -> None:
    """The gateway alone, at 16 connections, in episodes, so that follow-up turns are recorded, too."""
    with servers.upstream(folder) as direct, servers.loopwise(servers.make_project(folder / "p", direct)) as server:
        kept.put("soak", 0, [soaked(server, sizes.soak, say)])


def soaked(server: servers.Server, n: int, say: Say) -> Cell:
    process = psutil.Process(server.pid)
    began = time.monotonic()
    curve: list[tuple[float, int, int]] = []  # seconds, exchanges answered, bytes resident

    def sample(answered: int) -> None:
        curve.append((time.monotonic() - began, answered, resident(process)))
        if len(curve) % 15 == 0:
            say(f"soak: {answered:,} of {n:,} exchanges, {curve[-1][2] / 1e6:.0f} MB resident")

    sample(0)
    load = Load(
        server.port, "mixed", 16, FOREVER_S, most=n, watch=server.pid, episodes=True,
        progress_s=min(SAMPLE_S, n / 50_000),
    )  # fmt: skip
    found = measured(load, sample)
    sample(found["answered"])
    settled = next(bytes_ for _, answered, bytes_ in curve if answered >= SETTLED * n)
    last, most = curve[-1][2], max(bytes_ for _, answered, bytes_ in curve if answered >= SETTLED * n)
    return {
        "path": "loopwise", "kind": "mixed", "connections": 16, **found, "curve": curve, "settled_bytes": settled,
        "last_bytes": last, "most_bytes": most,
    }  # fmt: skip


def resident(process: psutil.Process) -> int:
    """Bytes of a process and its children."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
