"""The figure: throughput, added latency, feedback, cost as the store grows, and the soak."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from benchmarks.gateway.kept import Cell
from benchmarks.gateway.report import ORDER, short
from benchmarks.gateway.serving import CONNECTIONS
from benchmarks.gateway.targets import Found, per_cpu_s, per_s

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter

COLORS = {"direct": "#9aa6a1", "bare": "#7fa8c9", "loopwise": "#2f6f5e", "litellm": "#c98a4b"}
NAMES = {"direct": "directly", "bare": "bare recording proxy", "loopwise": "Loopwise", "litellm": "LiteLLM, no record"}
LIMIT = "#b03030"
WIDTH = 0.2


def draw(cells: Sequence[Cell], path: Path) -> None:
    found = Found(cells)
    figure, axes = plt.subplots(3, 2, figsize=(13, 12), layout="constrained")
    for axis, kind, title in ((axes[0][0], "whole", "Whole answers"), (axes[0][1], "stream", "Streams of 16 chunks")):
        throughput(axis, found, kind, f"{title}: answers per CPU second of the server")
    added(axes[1][0], found)
    feedback(axes[1][1], found)
    growth(axes[2][0], cells)
    soak(axes[2][1], cells)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def throughput(axis: Axes, found: Found, kind: str, title: str) -> None:
    for i, path in enumerate(ORDER):
        groups = [[per_cpu_s(c) for c in found.rounds("serve", path, kind, n).values()] for n in CONNECTIONS]
        bars(axis, groups, i, path, 0)
    axis.set_xticks([k + 1.5 * WIDTH for k in range(len(CONNECTIONS))], [f"{n} at once" for n in CONNECTIONS])
    decorate(axis, title)


def added(axis: Axes, found: Found) -> None:
    """Milliseconds over the same request sent directly, at one connection."""
    timings = (
        ("whole", "whole_ms", "whole answer"),
        ("paced", "first_ms", "first token"),
        ("paced", "chunk_ms", "chunk"),
    )
    for i, path in enumerate(ORDER[1:], start=1):
        groups = [
            found.paired(
                ("serve", path, kind, 1),
                [("serve", "direct", kind, 1)],
                lambda cell, plain, timing=timing: cell[timing]["median"] - plain[timing]["median"],
            )
            for kind, timing, _ in timings
        ]
        bars(axis, groups, i, path, 2)
    axis.set_xticks([k + 2 * WIDTH for k in range(len(timings))], [name for *_, name in timings])
    axis.axhline(4.0, color=LIMIT, linestyle="--", linewidth=1)
    axis.text(2.85, 4.2, "limit, 4 ms", color=LIMIT, fontsize=8, ha="right", va="bottom")
    decorate(axis, "Added latency over direct, one connection, ms")


def feedback(axis: Axes, found: Found) -> None:
    for i, path in enumerate(("bare", "loopwise")):
        kinds = ("feedback", "feedback-list")
        bars(
            axis, [[per_s(c) for c in found.rounds("feedback", path, kind, 32).values()] for kind in kinds], i, path, 0
        )
    axis.set_xticks([0.5 * WIDTH, 1 + 0.5 * WIDTH], ["singly", "in lists of 100"])
    decorate(axis, "Feedback: durable rows a second from 32 connections")


def growth(axis: Axes, cells: Sequence[Cell]) -> None:
    """Each round's median as a dot, since differences are small."""
    rows = [cell for cell in cells if cell["part"] == "grow" and cell["connections"] == 1]
    stores = sorted({cell["path"] for cell in rows}, key=len)
    for k, path in enumerate(stores):
        values = [cell["whole_ms"]["median"] for cell in rows if cell["path"] == path]
        axis.plot([k] * len(values), values, "o", color=COLORS["loopwise"], alpha=0.5)
        axis.hlines(statistics.median(values), k - 0.15, k + 0.15, color=COLORS["loopwise"])
        axis.annotate(f"{statistics.median(values):.2f}", (k + 0.17, statistics.median(values)), va="center", size=8)
    axis.set_xticks(range(len(stores)), [f"{path.rpartition(' ')[2]} stored" for path in stores])
    axis.set_xlim(-0.6, len(stores) - 0.4)
    axis.set_ylim(0, 1.35 * max((cell["whole_ms"]["median"] for cell in rows), default=1.0))
    axis.set_title("Latency as the store grows, one connection, ms: each round and median", loc="left", fontsize=10)
    axis.grid(axis="y", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def bars(axis: Axes, groups: Sequence[Sequence[float]], place: int, path: str, digits: int) -> None:
    """A bar for each group's median, its range, its value above it. A group that was not measured has none."""
    label: str | None = NAMES[path]
    for k, values in enumerate(groups):
        if not values:
            continue
        median = statistics.median(values)
        reach = [[median - min(values)], [max(values) - median]]
        x = k + place * WIDTH
        axis.bar(x, median, WIDTH * 0.9, yerr=reach, color=COLORS[path], capsize=3, ecolor="#444444", label=label)
        axis.annotate(short(median, digits), (x, max(values)), (0, 3), textcoords="offset points", ha="center", size=7)
        label = None


def decorate(axis: Axes, title: str) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.margins(y=0.12)
    heights = [patch.get_height() for patch in axis.patches if isinstance(patch, Rectangle)]
    if heights and min(heights) > 0:
        axis.set_ylim(bottom=10 ** math.floor(math.log10(min(heights))))
    axis.set_title(f"{title} (log)", loc="left", fontsize=10)
    axis.grid(axis="y", alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def soak(axis: Axes, cells: Sequence[Cell]) -> None:
    """Memory over exchanges, and the rate at which they were answered."""
    runs = [cell for cell in cells if cell["part"] == "soak"]
    axis.set_title("Soak, a tenth streamed: memory and rate", loc="left", fontsize=10)
    axis.spines[["top"]].set_visible(False)
    if not runs:
        return
    curve = runs[0]["curve"]
    answered = [n for _, n, _ in curve]
    axis.plot(answered, [size / 1e6 for *_, size in curve], color=COLORS["loopwise"])
    settled = runs[0]["settled_bytes"] / 1e6
    axis.axhline(1.05 * settled, color=LIMIT, linestyle="--", linewidth=1)
    axis.text(answered[-1], 1.05 * settled, "limit, 5 % over a tenth", color=LIMIT, fontsize=8, ha="right", va="bottom")
    axis.set_ylim(0, 1.35 * max(size / 1e6 for *_, size in curve))
    axis.set_xlabel("exchanges answered")
    axis.set_ylabel("MB resident", color=COLORS["loopwise"])
    axis.xaxis.set_major_formatter("{x:,.0f}")
    rates = [(b[1] - a[1]) / max(b[0] - a[0], 1e-9) for a, b in pairwise(curve)]
    right = axis.twinx()
    right.plot(answered[1:-1], rates[:-1], color=COLORS["bare"], linewidth=0.8)
    right.set_ylim(0, 1.35 * max(rates[:-1] or [1.0]))
    right.set_ylabel("answers a second", color=COLORS["bare"])
    right.spines[["top"]].set_visible(False)
