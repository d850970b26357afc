"""How many events a second do simulated people make, and where does the time go? The target is 200.

    python benchmarks/simulate.py [--rounds 5] [--events 3000] [--out FOLDER]

An event is one question asked through OpenAI's client and answered, and the feedback on it through Loopwise's. The real
command (``loopwise simulate --json``, the default people) uses a real gateway on this machine, in front of

- embedded: the embedded model's engine;
- scripted: the gateway benchmark's upstream, which answers at once, so that what is left is people and gateway.

Ways take turns within each round. Events a second are the command's own figure, which leaves its start-up out.
Milliseconds of processor time by process have the start-up taken off, which a run of one event measures in each round:
they show what machine would be needed where others keep this one busy (its load is in the JSON). Prints medians with
ranges; writes simulate.json and simulate.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.gateway import servers

from loopwise import config
from loopwise.cli.init import created
from loopwise.cli.templates import embedded_toml, openai_toml
from loopwise.compute.services import free_port
from loopwise.tiny.families import TARGET_SOURCES

RESULTS = Path(__file__).parent / "results"
TARGET = 200.0  # events a second
PEOPLE = 40


@dataclass(frozen=True)
class Way:
    """A project that is served, and the servers' process ids by name."""

    name: str
    project: Path
    pids: dict[str, int]


@contextmanager
def embedded(folder: Path) -> Generator[Way]:
    toml = embedded_toml((free_port(), free_port())).replace("n = 1500", "n = 100")
    with created(folder, toml) as project, ExitStack() as stack:
        port = config.load(project.dir).engine.port
        command = [sys.executable, "-m", "loopwise.cli.main", "up", "--only", "engine", "--dir", str(project.dir)]
        engine = stack.enter_context(servers.started(command, port, "/healthz", folder / "engine.log"))
        gateway = stack.enter_context(servers.loopwise(project.dir))
        yield Way("embedded", project.dir, {"gateway": gateway.pid, "engine": engine.pid})


@contextmanager
def scripted(folder: Path) -> Generator[Way]:
    folder.mkdir()
    with ExitStack() as stack:
        upstream = stack.enter_context(servers.upstream(folder))
        toml = openai_toml(upstream.api, "m", None).replace("port = 4040", f"port = {free_port()}")
        toml += f'[suites.target]\nrole = "target"\nn = 100\nsource = {json.dumps(TARGET_SOURCES)}\n'
        project = stack.enter_context(created(folder / "project", toml))
        gateway = stack.enter_context(servers.loopwise(project.dir))
        yield Way("scripted", project.dir, {"gateway": gateway.pid, "upstream": upstream.pid})


def once(way: Way, events: int, seed: int) -> dict[str, Any]:
    """One run of the command: its counts, and seconds of processor time by process."""
    command = [sys.executable, "-m", "loopwise.cli.main", "simulate", "--dir", str(way.project), "--json"]
    command += ["--people", str(PEOPLE), "--events", str(events), "--seed", str(seed)]
    before, own = {name: cpu_s(pid) for name, pid in way.pids.items()}, children_s()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent = {"people": children_s() - own, **{name: cpu_s(pid) - before[name] for name, pid in way.pids.items()}}
    counts = json.loads(done.stdout)
    assert counts["errors"] == 0, counts
    return {"events_per_s": counts["events_per_s"], "by_kind": counts["by_kind"], "cpu_s": spent}


def cpu_s(pid: int) -> float:
    """Of a process and what it started."""
    process = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:2]) for each in (process, *process.children(recursive=True)))


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rounds(ways: list[Way], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for way in ways:  # servers load code and open connections with their first requests
        once(way, 200, seed=0)
    for number in range(given.rounds):
        for way in ways if number % 2 == 0 else ways[::-1]:
            start = once(way, 1, seed=10 * number + 1)["cpu_s"]
            load = os.getloadavg()[0]
            found = once(way, given.events, seed=10 * number + 2)
            cpu_ms = {name: 1000 * (found["cpu_s"][name] - start[name]) / given.events for name in start}
            row = {"way": way.name, "round": number, **found, "cpu_ms_per_event": cpu_ms, "load_before": load}
            print(f"round {number + 1}: {way.name} {row['events_per_s']:.0f} events/s", flush=True)
            yield row


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for way in sorted({row["way"] for row in rows}):
        own = [row for row in rows if row["way"] == way]
        lines.append(f"{way:9} {spread([row['events_per_s'] for row in own])} events a second")
        for name in own[0]["cpu_ms_per_event"]:
            lines.append(
                f"{'':9}   {name:9} {spread([r['cpu_ms_per_event'][name] for r in own], 2)} ms of processor time"
            )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], place: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for at, way in enumerate(sorted({row["way"] for row in rows})):
        values = [row["events_per_s"] for row in rows if row["way"] == way]
        axes.bar(at, statistics.median(values), width=0.5, color="#9db8dd")
        axes.plot([at] * len(values), values, "o", color="#1f5fbf")
        axes.text(at, 0, f"{way}\n", ha="center", va="bottom")
    axes.axhline(TARGET, color="tab:red", linestyle="--")
    axes.set_xticks([])
    axes.set_ylabel("events a second")
    axes.set_title("Simulated people, each round and the median")
    figure.savefig(place, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(description="Events a second of simulated people.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        made = (embedded(Path(folder) / "embedded"), scripted(Path(folder) / "scripted"))
        rows = list(rounds([stack.enter_context(each) for each in made], given))
    print(table(rows))
    document = {
        "command": f"python benchmarks/simulate.py --rounds {given.rounds} --events {given.events}",
        "settings": {"people": PEOPLE, "population": "default", "events": given.events, "target": TARGET},
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "nice": os.nice(0)},
        "versions": {name: version(name) for name in ("loopwise", "openai", "httpx", "aiohttp")},
        "rows": rows,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "simulate.json").write_text(json.dumps(document, indent=1) + "\n")
    draw(rows, given.out / "simulate.png")
    slowest = min(
        statistics.median([r["events_per_s"] for r in rows if r["way"] == way]) for way in ("embedded", "scripted")
    )
    return int(slowest < TARGET)


if __name__ == "__main__":
    sys.exit(main())
