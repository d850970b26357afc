"""Throughput, latency and feedback: every way of asking, interleaved, so that what slows the machine for a while slows
all of them. Each round turns the order round."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.gateway import people, seed, servers
from benchmarks.gateway.kept import Cell, Kept, Say, Sizes
from benchmarks.gateway.load import LIST, Kind, Load, measured
from sqlalchemy import select

from loopwise.store import Store, exchanges, feedback, schema

SERVE_KINDS: tuple[Kind, ...] = ("whole", "stream", "paced")
FEEDBACK_KINDS: tuple[Kind, ...] = ("feedback", "feedback-list")
CONNECTIONS = (1, 16, 32)
NAMES = 256  # exchanges that feedback is about
APART = 10_000_000  # between the numbers of two measurements' requests, so that none is sent twice
SQLITE = "sqlite:///loopwise.db"

Way = tuple[Kind, int, str]  # kind, connections, path
Count = Callable[[], dict[str, int]]


def serve(kept: Kept, sizes: Sizes, folder: Path, home: Path | None, say: Say) -> None:
    """Whole answers, streams as fast as they go, and streams at the pace of a model, at each number of connections."""
    with servers.all_paths(folder, home) as paths, closing_store(folder / "project") as store:

        def count() -> dict[str, int]:
            with store.reading() as conn:
                return {"bare": rows_of(folder / "bare.db"), "loopwise": exchanges.count(conn)}

        warm_up(paths, SERVE_KINDS, sizes)
        ways = list(itertools.product(SERVE_KINDS, CONNECTIONS, paths))
        for round_ in kept.missing("serve", sizes.rounds):
            cells = one_round(paths, in_turn(ways, round_), sizes, count, say)
            kept.put("serve", round_, cells)
            say(f"serve: round {round_ + 1} of {sizes.rounds}, {len(ways)} ways of asking")


def give_feedback(kept: Kept, sizes: Sizes, folder: Path, say: Say) -> None:
    """Feedback singly and in lists, on exchanges that are known, through 32 connections."""
    with ExitStack() as stack:
        direct = stack.enter_context(servers.upstream(folder))
        project = servers.make_project(folder / "project", direct)
        seed.fill(project, people.Wanted(sizes.small))
        store = stack.enter_context(closing_store(project))
        with store.reading() as conn:
            names = tuple(conn.scalars(select(schema.exchanges.c.id).limit(NAMES)))
            seeded = feedback.watermark(conn)

        def count() -> dict[str, int]:
            with store.reading() as conn:
                return {"bare": rows_of(folder / "bare.db"), "loopwise": feedback.watermark(conn) - seeded}

        paths = {
            "bare": stack.enter_context(servers.bare(folder, direct)),
            "loopwise": stack.enter_context(servers.loopwise(project)),
        }
        warm_up(paths, FEEDBACK_KINDS, sizes, names)
        ways = list(itertools.product(FEEDBACK_KINDS, (32,), paths))
        for round_ in kept.missing("feedback", sizes.rounds):
            cells = one_round(paths, in_turn(ways, round_), sizes, count, say, names)
            kept.put("feedback", round_, cells)
            say(f"feedback: round {round_ + 1} of {sizes.rounds}")


def grow(kept: Kept, sizes: Sizes, folder: Path, say: Say) -> None:
    """The same requests on a store of ``small`` and on one of ``large`` exchanges. What seeding took is kept, too."""
    with ExitStack() as stack:
        direct = stack.enter_context(servers.upstream(folder))
        paths: dict[str, servers.Server] = {}
        for n in (sizes.small, sizes.large):
            project = servers.make_project(folder / str(n), direct)
            made = seed.fill(project, people.Wanted(n))
            say(f"grow: {n:,} exchanges seeded in {made.seconds:.1f} s, {made.per_s:,.0f} a second")
            paths[f"loopwise at {n:,}"] = stack.enter_context(servers.loopwise(project))
        if kept.get("seed", 0) is None:
            kept.put("seed", 0, [{"path": "seeder", "kind": "seed", **vars(made), "per_s": made.per_s}])
        warm_up(paths, ("whole",), sizes)
        ways: list[Way] = [("whole", c, path) for c in (1, 16) for path in paths]
        for round_ in kept.missing("grow", sizes.rounds):
            kept.put("grow", round_, one_round(paths, in_turn(ways, round_), sizes, dict, say, episodes=True))
            say(f"grow: round {round_ + 1} of {sizes.rounds}")


numbers = itertools.count(0, APART)


def one_round(
    paths: dict[str, servers.Server], ways: Sequence[Way], sizes: Sizes, count: Count, say: Say,
    names: tuple[str, ...] = (), episodes: bool = False,
) -> list[Cell]:  # fmt: skip
    """One measurement of each way, and how much of what was acknowledged is in the stores."""
    before, load_before = count(), os.getloadavg()[0]
    acknowledged = dict.fromkeys(before, 0)
    cells: list[Cell] = []
    for kind, connections, path in ways:
        server = paths[path]
        say(f"{kind} at {connections}: {path}", passing=True)
        load = Load(
            server.port, kind, connections, sizes.seconds, sizes.warm_s, start=next(numbers), watch=server.pid,
            names=names, episodes=episodes,
        )  # fmt: skip
        found = measured(load)
        rows = LIST if kind == "feedback-list" else 1
        cells.append({"path": path, "kind": kind, "connections": connections, "rows": rows, **found})
        if path in acknowledged:
            acknowledged[path] += rows * found["answered"]
    after = count()
    for path, n in acknowledged.items():
        recorded = after[path] - before[path]
        cells.append({"path": path, "kind": "recorded", "acknowledged": n, "recorded": recorded})
    return [{**cell, "load_before": load_before} for cell in cells]


def warm_up(
    paths: dict[str, servers.Server], kinds: tuple[Kind, ...], sizes: Sizes, names: tuple[str, ...] = ()
) -> None:
    """A server's first requests load code and open connections."""
    for path, kind in itertools.product(paths, kinds):
        measured(Load(paths[path].port, kind, 16, min(sizes.seconds, 1.0), start=next(numbers), names=names))


def in_turn(ways: Sequence[Way], round_: int) -> Sequence[Way]:
    return ways[::-1] if round_ % 2 else ways


def rows_of(path: Path) -> int:
    """Rows that the bare proxy has on disk."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM rows").fetchone()[0]


def closing_store(project: Path) -> closing[Store]:
    return closing(Store(SQLITE, project))
