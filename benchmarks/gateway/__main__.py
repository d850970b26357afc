"""What the gateway costs, and whether it keeps to its targets.

    python -m benchmarks.gateway [--rounds 5] [--seconds 3] [--soak 200000] [--large 1000000] [--parts serve soak …]

Run it in the root of the repository, on a quiet machine. Parts:

- serve: throughput and latency, whole and streamed, at 1, 16 and 32 connections: the model's stand-in called directly,
  a bare recording proxy (same server and client libraries, one durable insert in groups, nothing else), the gateway as
  'loopwise up --only gateway' runs it, and LiteLLM's proxy, which records nothing.
- feedback: singly and in lists of 100, against the bare server.
- soak: memory and throughput over many exchanges, a tenth streamed.
- grow: the same requests on a store of 10,000 and of a million exchanges, and how fast those were seeded.

All ways of asking are measured in turn within each round, and figures are medians and ranges over the rounds. Load,
stand-in and proxies are processes of their own that share this machine's cores; "per CPU second" divides by the
processor time that the measured server used. LiteLLM is installed once, into a virtual environment of its own. A run
that was cut short goes on where it stopped. Writes gateway.json and gateway.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import statistics
import sys
import time
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import psutil
from benchmarks.gateway import report, servers, serving, soak
from benchmarks.gateway.figure import draw
from benchmarks.gateway.kept import Cell, Kept, Sizes, code_hash
from benchmarks.gateway.targets import targets
from rich.console import Console

PARTS = ("serve", "feedback", "soak", "grow")
PACKAGES = ("loopwise", "starlette", "uvicorn", "aiohttp", "uvloop", "httptools", "sqlalchemy", "psutil")
HOME = Path.home() / ".cache" / "loopwise-bench" / "litellm"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in fields(Sizes):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--litellm", default=str(HOME), help="LiteLLM's virtual environment; 'none' leaves it out")
    parser.add_argument("--work", type=Path, help="where the stores lie while they are measured; a disk, not memory")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    return parser.parse_args()


def measure(part: str, kept: Kept, sizes: Sizes, folder: Path, home: Path | None, console: Console) -> None:
    """Measures what is not kept yet of one part."""
    began = time.monotonic()

    def say(line: str, passing: bool = False) -> None:
        if passing:
            status.update(line)
        else:
            console.print(f"[dim]{time.monotonic() - began:6.0f} s[/]  {line}", highlight=False)

    with console.status(part) as status:
        if part == "serve":
            serving.serve(kept, sizes, folder, home, say)
        elif part == "feedback":
            serving.give_feedback(kept, sizes, folder, say)
        elif part == "soak":
            soak.soak(kept, sizes, folder, say)
        else:
            serving.grow(kept, sizes, folder, say)


def machine(folder: Path) -> dict[str, Any]:
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return {
        "cores": os.cpu_count(), "processor": processor(), "memory_gb": memory, "system": platform.platform(),
        "fsync_ms": sync_ms(folder), "load_before": os.getloadavg()[0],
    }  # fmt: skip


def processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def sync_ms(folder: Path, n: int = 50) -> float:
    """Median milliseconds of one fsync, which bounds what durable recording can do."""
    taken: list[float] = []
    with (folder / "probe").open("wb") as file:
        for _ in range(n):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def versions(home: Path | None) -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    found |= {name: version(name) for name in PACKAGES}
    return found | ({"litellm": servers.litellm_version(home)} if home else {})


def stopped(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the run as the keyboard does: by leaving every block, which stops every process."""
    raise KeyboardInterrupt


def run(given: argparse.Namespace, console: Console) -> None:
    sizes = Sizes(**{field.name: getattr(given, field.name) for field in fields(Sizes)})
    home, notes = peer(given.litellm, given.parts, console)
    peers = versions(home)
    kept = Kept(given.out / "cache", sizes, peers)
    with TemporaryDirectory(prefix="loopwise-bench-", dir=given.work) as place:
        about = machine(Path(place))
        for part in given.parts:
            rounds = 1 if part == "soak" else sizes.rounds
            if kept.missing(part, rounds):
                with TemporaryDirectory(dir=place) as folder:
                    measure(part, kept, sizes, Path(folder), home, console)
    cells: list[Cell] = kept.cells((*given.parts, "seed") if "grow" in given.parts else tuple(given.parts))
    wanted = targets(cells, sizes)
    report.show(cells, wanted, [f"One fsync takes {about['fsync_ms']:.2f} ms here.", *notes], console)
    given.out.mkdir(parents=True, exist_ok=True)
    document = {
        "command": f"python -m benchmarks.gateway {' '.join(sys.argv[1:])}".strip(),
        "settings": {**asdict(sizes), "parts": list(given.parts), "seed": 0},
        "machine": about,
        "versions": peers,
        "code": code_hash(),
        "notes": notes,
        "targets": [{**asdict(target), "median": target.median, "met": target.met} for target in wanted],
    }
    (given.out / "gateway.json").write_text(written(document, cells), encoding="utf-8")
    draw(cells, given.out / "gateway.png")
    kept.forget()
    console.print(f"Written: {given.out / 'gateway.json'} and gateway.png")


def written(document: dict[str, Any], cells: list[Cell]) -> str:
    """JSON with a line for each cell."""
    lines = ",\n  ".join(json.dumps(cell) for cell in cells)
    return json.dumps(document, indent=1).removesuffix("\n}") + f',\n "cells": [\n  {lines}\n ]\n}}\n'


def peer(litellm: str, parts: list[str], console: Console) -> tuple[Path | None, list[str]]:
    """Where LiteLLM is, installed where it was not; or nothing, and why."""
    if litellm == "none" or "serve" not in parts:
        return None, ["LiteLLM was left out, as asked."] if "serve" in parts else []
    home = Path(litellm).expanduser()
    if not (home / "bin" / "litellm").exists():
        console.print(f"Installing LiteLLM's proxy into {home}, once.")
    failed = servers.install_litellm(home)
    return (None, [failed]) if failed else (home, [])


def main() -> int:
    given = parsed()
    signal.signal(signal.SIGTERM, stopped)
    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        run(given, console)
    except KeyboardInterrupt:
        console.print("Stopped. The rounds that were complete are kept: the same command goes on from there.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
