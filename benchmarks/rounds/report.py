"""The table, the JSON and the figure."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.exchange_rate.rates import t_interval
from benchmarks.rounds.plan import Cell, Sizes

COLORS = ("#1f5fbf", "#c8651b", "#2a8a4a", "#8a3fa0")
METHODS = {"auto": "as the data choose", "sft": "imitation"}
WANTED, STILL = 20, 2  # points that rounds shall give, and that the control may move
PACKAGES = ("loopwise", "numpy", "torch", "transformers", "trl")
Found = Mapping[Cell, Mapping[str, Any]]


def gain(found: Mapping[str, Any]) -> float:
    """Points that the last model has over the first, on the held-out suite."""
    return 100 * (found["suite"][-1] - found["suite"][0])


def groups(found: Found) -> dict[Cell, list[Cell]]:
    """Cells that differ in the seed alone, by what they share, in the order in which they were measured."""
    made: dict[Cell, list[Cell]] = {}
    for cell in found:
        made.setdefault(cell.group, []).append(cell)
    return made


def paired(found: Found, one: Cell, other: Cell) -> list[float]:
    """Points by which the last model of one group is ahead of the other's, for each seed that has both."""
    cells = groups(found)
    theirs = {cell.seed: gain(found[cell]) for cell in cells.get(other, ())}
    return [gain(found[cell]) - theirs[cell.seed] for cell in cells.get(one, ()) if cell.seed in theirs]


def interval(points: Sequence[float]) -> tuple[float, float, float] | None:
    """Mean and 95 % limits; None with fewer than two seeds."""
    return t_interval(np.array(points)) if len(points) > 1 else None


def _shown(limits: tuple[float, float, float] | None) -> str:
    return "one seed" if limits is None else f"{limits[0]:+.1f} [{limits[1]:+.1f}, {limits[2]:+.1f}]"


def drift(found: Found, n: int) -> dict[str, float]:
    """Points between the first model's answers to the last round's questions and to the first's, over all seeds.

    ``n`` questions at each end and seed. ``seen`` is the difference that 80 % of such runs would find (two-sided, 5 %).
    """
    ends_S2 = np.array([cell["probe"] for cell in found.values() if "probe" in cell])
    first, last = ends_S2.mean(axis=0).tolist()
    error = math.sqrt((first * (1 - first) + last * (1 - last)) / (n * len(ends_S2)))
    points, half = 100 * (last - first), 196 * error
    return {"points": points, "low": points - half, "high": points + half, "seen": 100 * (1.96 + 0.84) * error}


def table(found: Found, sizes: Sizes) -> list[str]:
    """What is printed: right answers on the held-out suite and to people, by group, and the comparisons."""
    lines = [
        f"{'arm':<9}{'events':>7}{'method':>7}{'examples':>9}{'seeds':>6}{'suite, %':>16}  {'points':<22}people, %"
    ]
    for group, cells in groups(found).items():
        first, last = (100 * np.mean([found[cell]["suite"][at] for cell in cells]) for at in (0, -1))
        asked, end = (100 * np.mean([found[cell]["right"][at] for cell in cells]) for at in (0, -1))
        points = [gain(found[cell]) for cell in cells]
        shown = f"{np.mean(points):+.1f}" if len(points) == 1 else _shown(interval(points))
        lines.append(
            f"{group.arm:<9}{group.events:>7}{group.method:>7}{group.examples:>9}{len(cells):>6}{first:>9.1f} → "
            f"{last:.1f}  {shown:<22}{asked:.1f} → {end:.1f}"
        )
    for one, other in comparisons(found):
        ahead = paired(found, one, other)
        lines.append(f"{_named(one)} ahead of {_named(other)}: {_shown(interval(ahead))}, {len(ahead)} seeds")
    moved = drift(found, sizes.probe)
    lines.append(
        f"control, last round's questions against the first's: {moved['points']:+.2f} "
        f"[{moved['low']:+.2f}, {moved['high']:+.2f}]; 80 % of such runs find {moved['seen']:.2f}"
    )
    met = {True: "met", False: "not met"}
    return lines + [f"{t['name']}: {t['found']:+.1f}, {met[t['met']]}" for t in targets(found, sizes.probe)]


def targets(found: Found, n: int) -> list[dict[str, Any]]:
    """What was wanted beforehand, and whether it came: each method's rounds, and the control."""
    reached = {
        f"{_named(group)}: at least +{WANTED} points": float(np.mean([gain(found[cell]) for cell in cells]))
        for group, cells in groups(found).items()
        if group.arm == "rounds"
    }
    moved = drift(found, n)
    still = moved["low"] > -STILL and moved["high"] < STILL
    rows = [{"name": name, "found": points, "met": points >= WANTED} for name, points in reached.items()]
    return [*rows, {"name": f"control within {STILL} points", "found": moved["points"], "met": still}]


def comparisons(found: Found) -> list[tuple[Cell, Cell]]:
    """Rounds against the same events at once, wherever both were measured."""
    there = groups(found)
    pairs = [(group, replace(group, arm="once")) for group in there if group.arm == "rounds"]
    return [(one, other) for one, other in pairs if other in there and len(paired(found, one, other)) > 1]


def _named(group: Cell) -> str:
    return f"{group.arm} ({group.events} events, {group.method}, {group.examples} examples)"


def publish(found: Found, sizes: Sizes, out: Path, arguments: Sequence[str]) -> None:
    """Prints the table, writes rounds.json and rounds.png."""
    print("\n".join(table(found, sizes)))
    document = {
        "command": " ".join(["python -m benchmarks.rounds", *arguments]),
        "settings": asdict(sizes),
        "intervals": "95 %: Student's t over seeds, points paired by seed; of the probe, normal over all questions",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"processor": platform.processor() or platform.machine(), "threads": 1},
        "targets": targets(found, sizes.probe),
        "drift": drift(found, sizes.probe),
        "points": [
            {
                **{name: value for name, value in asdict(group).items() if name != "seed"},
                "seeds": len(cells),
                "interval": interval([gain(found[cell]) for cell in cells]),
            }
            for group, cells in groups(found).items()
        ],
        "ahead": {
            f"{_named(one)} of {_named(other)}": interval(paired(found, one, other))
            for one, other in comparisons(found)
        },
        "cells": [{**asdict(cell), "points": gain(one), **one} for cell, one in found.items()],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "rounds.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draw(found, sizes, out / "rounds.png")


def draw(found: Found, sizes: Sizes, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.4, 4.6), dpi=140)
    colors = dict(zip(dict.fromkeys((g.events, g.method, g.examples) for g in groups(found)), COLORS, strict=False))
    for number, (group, cells) in enumerate(groups(found).items()):
        color = "#777777" if group.arm == "control" else colors[group.events, group.method, group.examples]
        heights_SR = 100 * np.array([found[cell]["suite"] for cell in cells])
        mean_R, low_R, high_R = heights_SR.mean(axis=0), heights_SR.min(axis=0), heights_SR.max(axis=0)
        size = f"{group.events:,} events, {group.examples:,} examples"
        label = f"{group.arm}: {size}, {METHODS[group.method]} ({len(cells)})"
        if group.arm == "rounds":
            axes.plot(range(sizes.rounds + 1), mean_R, marker="o", color=color, label=label, markersize=4)
            axes.fill_between(range(sizes.rounds + 1), low_R, high_R, color=color, alpha=0.12)
        elif group.arm == "control":
            axes.axhline(mean_R[-1], color=color, linestyle=":", label=f"control: the first model ({len(cells)})")
        else:
            spread = [[mean_R[-1] - low_R[-1]], [high_R[-1] - mean_R[-1]]]
            place = sizes.rounds + 0.15 * number
            axes.errorbar(place, mean_R[-1], spread, marker="s", color=color, label=label, markersize=5, capsize=3)
    axes.set_xticks(range(sizes.rounds + 1))
    axes.set_xlabel("rounds of events, after each of which the model is trained and deployed")
    axes.set_ylabel("right answers on a held-out suite, %")
    axes.set_title(
        "Deployment rounds, by events and training examples a round: mean and range (seeds)", loc="left", fontsize=11
    )
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
