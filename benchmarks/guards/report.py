"""Means over seeds with t-intervals, as a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.guards.arms import ARMS
from scipy import stats

FIGURES = ("rows", "right", "poisoned", "target", "anchor", "attack")
COLORS = ("#8a8a8a", "#1f5fbf", "#b3401f", "#2a8a4a", "#9a6a1f", "#7a3fa0", "#111111")


def summary(
    cells: Mapping[tuple[int, float, float, str], Mapping[str, float]],
    bases: Sequence[Mapping[str, float]],
    noises: Sequence[float],
    hostiles: Sequence[float],
) -> list[dict[str, Any]]:
    """A row per noise, hostile share and arm: each figure's mean and 95 % t-interval over the seeds; ``gain`` and
    ``anchor_change`` are points over the served model of the same seed, ``over_none`` points over the arm without
    guards, paired by seed."""
    rows: list[dict[str, Any]] = []
    seeds = range(len(bases))
    for noise in noises:
        for hostile in hostiles:
            for arm in ARMS:
                found = [cells[seed, noise, hostile, arm] for seed in seeds]
                none = [cells[seed, noise, hostile, "none"] for seed in seeds]
                row: dict[str, Any] = {"noise": noise, "hostile": hostile, "arm": arm}
                row |= {name: interval([one[name] for one in found]) for name in FIGURES}
                row["gain"] = interval(
                    [100 * (one["target"] - base["target"]) for one, base in zip(found, bases, strict=True)]
                )
                row["anchor_change"] = interval(
                    [100 * (one["anchor"] - base["anchor"]) for one, base in zip(found, bases, strict=True)]
                )
                row["over_none"] = interval(
                    [100 * (one["target"] - two["target"]) for one, two in zip(found, none, strict=True)]
                )
                rows.append(row)
    return rows


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean with Student's 95 % interval; no interval of one value."""
    numbers = np.array(values, dtype=float)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return {"mean": mean, "low": mean, "high": mean}
    half = float(stats.t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / len(numbers) ** 0.5)
    return {"mean": mean, "low": mean - half, "high": mean + half}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each row of the summary."""
    heads = "noise  hostile  guards               rows  right %  poisoned  gain, points     over none       "
    lines = [f"{heads} anchors  attack %"]
    for row in rows:
        gain, over = row["gain"], row["over_none"]
        lines.append(
            f"{row['noise']:5.0%}  {row['hostile']:7.0%}  {row['arm']:19}  {row['rows']['mean']:4.0f}  "
            f"{100 * row['right']['mean']:7.1f}  {row['poisoned']['mean']:8.1f}  "
            f"{gain['mean']:+5.1f} [{gain['low']:+5.1f}, {gain['high']:+5.1f}]  "
            f"{over['mean']:+5.1f} [{over['low']:+5.1f}, {over['high']:+5.1f}]  "
            f"{row['anchor_change']['mean']:+6.1f}  {100 * row['attack']['mean']:7.1f}"
        )
    return "\n".join(lines)


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Gain and success of the attack by noise, a column for each share of hostile accounts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    hostiles = sorted({row["hostile"] for row in rows})
    figure, axes = pyplot.subplots(
        2, len(hostiles), figsize=(3.6 * len(hostiles) + 1.2, 6.4), dpi=140, sharex=True, sharey="row", squeeze=False
    )
    for column, hostile in enumerate(hostiles):
        for arm, color in zip(ARMS, COLORS, strict=True):
            chosen = [row for row in rows if row["hostile"] == hostile and row["arm"] == arm]
            noises = [100 * row["noise"] for row in chosen]
            style = {
                "color": color,
                "marker": "o",
                "markersize": 3,
                "linewidth": 2.2 if arm in ("none", "all") else 1.1,
            }
            axes[0][column].plot(noises, [row["gain"]["mean"] for row in chosen], label=arm, **style)
            axes[1][column].plot(noises, [100 * row["attack"]["mean"] for row in chosen], **style)
        axes[0][column].set_title(f"hostile accounts: {hostile:.0%}", loc="left", fontsize=10)
        axes[1][column].set_xlabel("how often people err, %")
    axes[0][0].set_ylabel("held-out accuracy gained, points")
    axes[1][0].set_ylabel("attackers' answer given, %")
    for axis in axes.flat:
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="guards")
    figure.tight_layout()
    figure.savefig(path)
