"""The figure: learning curves by shift, what moves the rate, and the language model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from benchmarks.exchange_rate.plan import NOISES, SHIFTS, Arm, Cell, Kind, Part, Shift
from benchmarks.exchange_rate.rates import Estimate, Rate, Rates

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

STYLES: dict[tuple[Arm, Kind | None], tuple[str, str, str]] = {
    ("corpus", None): ("more corpus", "#9a6a1f", "-"),
    ("labels", None): ("labels of users' questions", "#333333", "--"),
    ("feedback", "correction"): ("corrections", "#2f6f5e", "-"),
    ("feedback", "right/wrong"): ("right/wrong", "#1f5fbf", "-"),
    ("feedback", "implicit"): ("implicit, 75 % true", "#c2571a", "-"),
    ("random", "right/wrong"): ("random right/wrong (runs off below)", "#9aa0a6", "-"),
    ("retrieval", "correction"): ("corrections retrieved, not trained on", "#7d4fa8", "-"),
}
ASKED: dict[Shift, str] = {
    "none": "Users ask what the corpus holds",
    "some": "Users ask something else in part",
    "strong": "Users ask something else",
}
MIDDLE = 1_000
FLOOR = -6  # points; random feedback falls far below, and its figures stand in the JSON


def draw(rates: Mapping[Part, Rates], path: Path) -> None:
    heights = [4.6 * rows for part, rows in (("classifier", 2), ("model", 1)) if part in rates]
    figure = plt.figure(figsize=(15, sum(heights)), layout="constrained")
    panels = iter(np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights)))
    if "classifier" in rates:
        panel = next(panels)
        axes = panel.subplots(2, 3)
        for axis, shift in zip(axes[0], SHIFTS, strict=True):
            curves(axis, rates["classifier"], shift)
        handles, labels = axes[0][0].get_legend_handles_labels()
        panel.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        worth(axes[1][0], rates["classifier"])
        noise(axes[1][1], rates["classifier"])
        at_home(axes[1][2], rates["classifier"])
    if "model" in rates:
        for axis, shift in zip(next(panels).subplots(1, 3), SHIFTS, strict=True):
            language(axis, rates["model"], shift)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def found(rates: Rates, shift: Shift, wanted: Callable[[Cell], bool]) -> list[Rate]:
    """Groups of a shift, by size."""
    cells = [cell for cell, of_shift in rates.cells() if of_shift == shift and wanted(cell)]
    return [rates.of(cell, shift) for cell in sorted(cells, key=lambda cell: (cell.n, cell.noise))]


def curves(axis: Axes, rates: Rates, shift: Shift) -> None:
    for (arm, kind), (name, color, dash) in STYLES.items():
        groups = found(rates, shift, lambda c, a=arm, k=kind: (c.arm, c.kind) == (a, k) and c.n > 0 and not c.noise)
        band(axis, [group.cell.n for group in groups], [group.points for group in groups], name, color, dash)
    axis.axhline(0, color="#999999", lw=0.8)
    sized(axis, "examples or events beyond the seed corpus")
    axis.set_ylim(bottom=FLOOR)
    decorate(axis, f"{ASKED[shift]} (shift: {shift})", "points over extra compute alone")
    for group in found(rates, shift, lambda c: (c.arm, c.kind, c.noise) == ("feedback", "right/wrong", 0)):
        if group.cell.n == MIDDLE and shift == "strong" and math.isfinite(group.corpus[0]):
            gap(axis, MIDDLE, group.corpus[0], group.points[0])


def gap(axis: Axes, events: float, examples: float, height: float) -> None:
    """The horizontal gap that is the worth."""
    axis.annotate("", (examples, height), (events, height), arrowprops={"arrowstyle": "->", "color": "#1f5fbf"})
    text = f"arrow: {events:,.0f} right/wrong events =\n{examples:,.0f} corpus examples"
    axis.text(0.03, 0.9, text, transform=axis.transAxes, color="#1f5fbf", fontsize=9)


def worth(axis: Axes, rates: Rates) -> None:
    """Corpus examples per event, where some amount of corpus reaches the same score."""
    for kind in ("correction", "right/wrong", "implicit"):
        name, color, _ = STYLES["feedback", kind]
        for shift, dash in (("none", "-"), ("some", "--")):
            groups = found(rates, shift, lambda c, k=kind: (c.arm, c.kind, c.noise) == ("feedback", k, 0))
            each = [tuple(v / g.cell.n for v in g.corpus) for g in groups if math.isfinite(g.corpus[0])]
            sizes = [g.cell.n for g in groups if math.isfinite(g.corpus[0])]
            top = rates.longest("corpus", shift)
            capped = [(m, low, min(high, top / n)) for (m, low, high), n in zip(each, sizes, strict=True)]
            band(axis, sizes, capped, f"{name}, {'no' if shift == 'none' else shift} shift", color, dash)
    axis.axhline(1, color="#999999", lw=0.8)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50], ["0", "0.5", "1", "2", "5", "10", "20", "50"])
    sized(axis, "events (lines end where no amount of corpus does as much)")
    axis.set_xticks([125, 500, 2_000, 8_000])
    axis.legend(frameon=False, fontsize=8)
    decorate(axis, "What one event is worth", "corpus examples per event")


def noise(axis: Axes, rates: Rates) -> None:
    middle = sorted({cell.n for cell, _ in rates.cells() if cell.arm == "feedback"})
    n = MIDDLE if MIDDLE in middle else middle[-1]
    arms: tuple[tuple[Arm, Kind, str], ...] = (
        ("feedback", "correction", "-"), ("feedback", "right/wrong", "-"), ("weighed", "right/wrong", ":"),
        ("feedback", "implicit", "-"), ("retrieval", "correction", "-"),
    )  # fmt: skip
    for arm, kind, dash in arms:
        name, color, _ = STYLES["feedback" if arm == "weighed" else arm, kind]
        groups = found(rates, "some", lambda c, a=arm, k=kind: (c.arm, c.kind, c.n) == (a, k, n))
        label = f"{name}, noise known" if arm == "weighed" else name
        band(axis, [100 * g.cell.noise for g in groups], [g.points for g in groups], label, color, dash)
    for kind in ("correction", "right/wrong", "implicit"):
        (group,) = found(rates, "some", lambda c, k=kind: (c.arm, c.kind, c.n) == ("random", k, n))
        middle_value, low, high = group.points
        limits = [[middle_value - low], [high - middle_value]]
        axis.errorbar([38], [middle_value], limits, marker="o", color=STYLES["feedback", kind][1], capsize=3)
    axis.axhline(0, color="#999999", lw=0.8)
    axis.set_xticks([*(100 * level for level in NOISES), 38], [*(f"{100 * level:.0f} %" for level in NOISES), "random"])
    axis.set_xlabel("feedback that says the opposite of the truth")
    axis.legend(frameon=False, fontsize=8)
    decorate(axis, f"Noise ({n:,} events, some shift)", "points over extra compute alone")


def at_home(axis: Axes, rates: Rates) -> None:
    for arm, kind in STYLES:
        groups = found(rates, "strong", lambda c, a=arm, k=kind: (c.arm, c.kind) == (a, k) and c.n > 0 and not c.noise)
        name, color, dash = STYLES[arm, kind]
        band(axis, [g.cell.n for g in groups], [g.points_corpus for g in groups], name, color, dash)
    axis.axhline(0, color="#999999", lw=0.8)
    sized(axis, "examples or events beyond the seed corpus")
    axis.set_ylim(bottom=FLOOR)
    decorate(axis, "The corpus's own questions (strong shift)", "points over extra compute alone")


def language(axis: Axes, rates: Rates, shift: Shift) -> None:
    """One line for each arm, at the middle number of events and otherwise where it was measured."""
    groups = found(rates, shift, lambda c: c.n > 0)
    order = ("corpus", "labels", "feedback", "marks", "random", "retrieval")
    groups.sort(key=lambda g: (-order.index(g.cell.arm), g.cell.kind or "", -g.cell.n, -g.cell.noise, -g.cell.shown))
    for height, group in enumerate(groups):
        middle, low, high = group.points
        color = STYLES["feedback" if group.cell.kind else group.cell.arm, group.cell.kind][1]
        axis.errorbar([middle], [height], xerr=[[middle - low], [high - middle]], marker="o", color=color, capsize=3)
    axis.set_yticks(range(len(groups)), [described(group.cell) for group in groups], fontsize=8)
    axis.axvline(0, color="#999999", lw=0.8)
    axis.set_xlabel("points over extra compute alone")
    decorate(axis, f"Embedded language model, shift: {shift}", "")


def described(cell: Cell) -> str:
    """An arm in words."""
    what = {"corpus": "more corpus", "labels": "labels", "retrieval": f"corrections, {cell.shown} in the prompt"}
    kinds = {"right/wrong": "right/wrong", "correction": "corrections", "implicit": "implicit", None: ""}
    kind = {"random": "random "}.get(cell.arm, "") + kinds[cell.kind] + {"marks": ", by KTO"}.get(cell.arm, "")
    errs = f", {100 * cell.noise:.0f} % noise" if cell.noise else ""
    return f"{cell.n:,} {what.get(cell.arm, kind)}{errs}"


def band(axis: Axes, sizes: list[float], estimates: list[Estimate], name: str, color: str, dash: str) -> None:
    middle, low, high = np.array(estimates).reshape(-1, 3).T
    axis.plot(sizes, middle, dash, color=color, label=name, marker="o", ms=3)
    axis.fill_between(sizes, low, high, color=color, alpha=0.15, lw=0)


def sized(axis: Axes, label: str) -> None:
    """A logarithmic axis of sizes."""
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(label)


def decorate(axis: Axes, title: str, label: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_ylabel(label)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="both", alpha=0.25)
