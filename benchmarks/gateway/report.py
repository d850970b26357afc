"""What was found, as tables that read at a glance: first the targets, then everything that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.gateway.kept import Cell
from benchmarks.gateway.targets import Found, Target, per_cpu_s, per_s
from rich.console import Console
from rich.markup import escape
from rich.table import Table

KIND_TITLES = {
    "whole": "Whole answers",
    "stream": "Streams of 16 chunks, as fast as they go",
    "paced": "Streams of 16 chunks, 5 ms apart",
}
VERDICTS = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}


def show(cells: Sequence[Cell], targets: Sequence[Target], notes: Sequence[str], console: Console) -> None:
    for kind, title in KIND_TITLES.items():
        if any(cell["kind"] == kind and cell["part"] == "serve" for cell in cells):
            console.print(serving_table(cells, kind, title))
    for table in (feedback_table(cells), growth_table(cells), soak_table(cells), seed_table(cells)):
        if table.row_count:
            console.print(table)
    console.print(target_table(targets))
    for note in notes:
        console.print(note)


def target_table(targets: Sequence[Target]) -> Table:
    table = Table("what (connections)", "target", "found", title="Targets: median \\[range] over rounds")
    table.add_column("verdict", no_wrap=True)
    for target in targets:
        wanted = f"{target.bound} {target.limit:g} {target.unit}" if target.limit is not None else ""
        found = f"{spread(target.values)} {target.unit}" if target.values else "not measured"
        table.add_row(target.name, wanted, escape(found), VERDICTS[target.met])
    return table


def serving_table(cells: Sequence[Cell], kind: str, title: str) -> Table:
    table = Table("at once", "path", title=f"{title}: median \\[range] over rounds")
    timings = {"whole_ms": "ms"} if kind == "whole" else {"first_ms": "ms to first token", "chunk_ms": "ms per chunk"}
    rates = {"a second": per_s} | ({"per CPU second": per_cpu_s} if kind != "paced" else {})
    for head in (*rates, *timings.values()):
        table.add_column(head, justify="right", no_wrap=True)
    found = Found([cell for cell in cells if cell["part"] == "serve" and cell["kind"] == kind])
    last = None
    for _, path, _, connections in sorted(found.by_key, key=lambda key: (key[3], ORDER.index(key[1]))):
        if last not in (None, connections):
            table.add_section()
        rows = list(found.rounds("serve", path, kind, connections).values())
        figures = [spread([rate(row) for row in rows], 0) for rate in rates.values()]
        figures += [spread([row[name]["median"] for row in rows]) for name in timings]
        table.add_row("" if last == connections else str(connections), path, *figures)
        last = connections
    return table


ORDER = ("direct", "bare", "loopwise", "litellm")


def feedback_table(cells: Sequence[Cell]) -> Table:
    table = Table("path", "form", "rows a second", "rows per CPU second", "ms a request")
    table.title = "Feedback from 32 connections: median \\[range] over rounds"
    return _add(table, cells, "feedback", {"feedback": "singly", "feedback-list": "lists of 100"})


def growth_table(cells: Sequence[Cell]) -> Table:
    table = Table("path", "at once", "a second", "per CPU second", "ms")
    table.title = "Cost as the store grows: median \\[range] over rounds"
    return _add(table, cells, "grow", {"whole": None})


def _add(table: Table, cells: Sequence[Cell], part: str, kinds: dict[str, str | None]) -> Table:
    found = Found([cell for cell in cells if cell["part"] == part and cell["kind"] in kinds])
    for _, path, kind, connections in sorted(found.by_key, key=lambda key: (key[2], key[3], len(key[1]), key[1])):
        rows = list(found.rounds(part, path, kind, connections).values())
        figures = [spread([per_s(row) for row in rows], 0), spread([per_cpu_s(row) for row in rows], 0)]
        table.add_row(
            path, kinds[kind] or str(connections), *figures, spread([row["whole_ms"]["median"] for row in rows])
        )
    return table


def soak_table(cells: Sequence[Cell]) -> Table:
    table = Table("exchanges", "seconds", "a second", "MB at first", "MB after a tenth", "MB at most", "MB at the end")
    table.title = "Soak: 16 connections, a tenth streamed"
    for cell in (cell for cell in cells if cell["part"] == "soak"):
        sizes = (cell["curve"][0][2], cell["settled_bytes"], cell["most_bytes"], cell["last_bytes"])
        megabytes = [f"{size / 1e6:.1f}" for size in sizes]
        table.add_row(f"{cell['answered']:,}", f"{cell['seconds']:.0f}", f"{cell['per_s']:,.0f}", *megabytes)
    return table


def seed_table(cells: Sequence[Cell]) -> Table:
    table = Table("exchanges", "feedback", "seconds", "exchanges a second", "MB", title="Seeder")
    for cell in (cell for cell in cells if cell["part"] == "seed"):
        figures = (f"{cell['seconds']:.1f}", f"{cell['per_s']:,.0f}", f"{(cell['bytes'] or 0) / 1e6:,.0f}")
        table.add_row(f"{cell['exchanges']:,}", f"{cell['feedback']:,}", *figures)
    return table


def spread(values: Sequence[float], digits: int | None = None) -> str:
    """Median [range]; three significant digits unless told otherwise."""
    if not values:
        return ""
    middle, low, high = (short(v, digits) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} [{low}, {high}]" if len(values) > 1 else middle


def short(value: float, digits: int | None = None) -> str:
    if digits is None:
        digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"
