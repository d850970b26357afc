"""The table, the JSON and what stands beside the figures that were expected."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.exchange_rate.figure import draw
from benchmarks.exchange_rate.kept import Scores
from benchmarks.exchange_rate.plan import Cell, Part, Shift, Sizes
from benchmarks.exchange_rate.rates import DRAWS, Estimate, Rate, Rates

PACKAGES = ("loopwise", "numpy", "scipy", "matplotlib", "torch", "transformers", "trl")
INTERVALS = (
    "95 %. score, points, points_corpus: Student's t over seeds (points are paired by seed). corpus_examples, labels: "
    f"percentile bootstrap over seeds, {DRAWS:,} draws, of the gap between mean curves; null is more than the longest "
    "curve reaches, whose end stands in 'longest'."
)


def publish(found: Mapping[Part, tuple[Sizes, Mapping[Cell, Scores]]], out: Path, arguments: Sequence[str]) -> None:
    """Prints the tables, writes exchange_rate.json and exchange_rate.png."""
    rates = {part: Rates(scores, sizes.seed_corpus) for part, (sizes, scores) in found.items()}
    for part, all_rates in rates.items():
        print(f"\n{part}: {len(all_rates.seeds)} seeds, intervals 95 %")
        print("\n".join(table(all_rates)))
    document = {
        "command": " ".join(["python -m benchmarks.exchange_rate", *arguments]),
        "intervals": INTERVALS,
        "settings": {part: asdict(sizes) for part, (sizes, _) in found.items()},
        "seeds": {part: all_rates.seeds for part, all_rates in rates.items()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine(), "threads": 1},
        "longest": {
            part: {kind: {s: all_rates.longest(kind, s) for s in all_rates.shifts} for kind in ("corpus", "labels")}
            for part, all_rates in rates.items()
        },
    }
    rows = [row(shift, all_rates.of(cell, shift)) for all_rates in rates.values() for cell, shift in all_rates.cells()]
    out.mkdir(parents=True, exist_ok=True)
    (out / "exchange_rate.json").write_text(written(document, rows), encoding="utf-8")
    draw(rates, out / "exchange_rate.png")
    print(f"\nWritten: {out / 'exchange_rate.json'} and exchange_rate.png")


def row(shift: Shift, rate: Rate) -> dict[str, Any]:
    """A group of cells as it stands in the JSON."""
    cell = asdict(rate.cell)
    del cell["seed"]
    return {
        **cell,
        "shift": shift,
        "score": rounded(rate.score),
        "points": rounded(rate.points),
        "points_corpus": rounded(rate.points_corpus),
        "corpus_examples": rounded(rate.corpus),
        "labels": rounded(rate.labels),
        "by_seed": [round(score, 4) for score in rate.by_seed],
    }


def rounded(estimate: Estimate) -> list[float | None]:
    return [round(value, 3) if math.isfinite(value) else None for value in estimate]


def written(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """JSON with a line for each group of cells."""
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    return json.dumps(document, indent=1).removesuffix("\n}") + f',\n "cells": [\n  {lines}\n ]\n}}\n'


def table(rates: Rates) -> list[str]:
    """All arms but the curves they are compared with, at a middle number of events."""
    sizes = sorted({cell.n for cell, _ in rates.cells() if cell.arm == "feedback"})
    wanted = [n for n in (1_000, 4_000) if n in sizes] or sizes[-1:]
    lines = [
        f"{'shift':7} {'arm':34} {'n':>6}  {'right, %':>8}  {'points over extra compute':>25}  "
        f"{'corpus examples each':>22}  {'labels each':>18}  {'points on the corpus':>20}"
    ]
    for shift in rates.shifts:
        for cell, of_shift in rates.cells():
            if of_shift == shift and (cell.n in wanted or cell.arm in ("served", "corpus")):
                lines.append(line(rates, rates.of(cell, shift), shift))
    return lines


def line(rates: Rates, rate: Rate, shift: Shift) -> str:
    cell = rate.cell
    each = ["", ""]
    if cell.arm not in ("served", "corpus"):
        each = [
            per_event(rate.corpus, cell.n, rates.longest("corpus", shift)),
            per_event(rate.labels, cell.n, rates.longest("labels", shift)),
        ]
    return (
        f"{shift:7} {named(cell):34} {cell.n:6}  {rate.score[0]:8.1f}  {spread(rate.points):>25}  {each[0]:>22}  "
        f"{each[1]:>18}  {spread(rate.points_corpus):>20}"
    )


def named(cell: Cell) -> str:
    noise = f", {100 * cell.noise:.0f} % noise" if cell.noise else ""
    shown = f", {cell.shown} shown" if cell.shown else ""
    return f"{cell.arm}{' ' + cell.kind if cell.kind else ''}{noise}{shown}"


def spread(estimate: Estimate) -> str:
    return "{:+.1f} [{:+.1f}, {:+.1f}]".format(*estimate)


def per_event(gap: Estimate, n: int, longest: int) -> str:
    """How many examples one event equals; beyond the longest curve only a lower limit is known."""
    middle, low, high = (f"{v / n:.2f}" if math.isfinite(v) else f">{longest / n:.3g}" for v in gap)
    return middle if middle == low == high else f"{middle} [{low}, {high}]"
