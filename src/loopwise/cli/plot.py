# matplotlib is typed in part only:
# pyright: reportUnknownMemberType=false
"""The picture of a project: score by release, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.types import JsonObject

_TARGET, _ANCHORS = "#1f5fbf", ("#9a6a1f", "#4f7f5f", "#7f4f7f")


def score_by_release(path: Path, rows: Sequence[JsonObject], title: str) -> None:
    """Writes a PNG. ``rows`` hold ``release, target {score, low, high}, anchors {name: {…}}``, in order of release."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=140)
    places = range(len(rows))
    for name, color in zip(rows[0]["anchors"], _ANCHORS, strict=False):
        _line(axes, places, [row["anchors"][name] for row in rows], (f"anchor: {name} (never practised)", color, 1.0))
    _line(axes, places, [row["target"] for row in rows], ("target: held-out final suite", _TARGET, 2.2))
    axes.set_xticks(list(places), [f"{row['label']}\n{row['release']}" for row in rows])
    axes.set_ylim(0, 104)
    axes.set_ylabel("right answers, % (bars: 95 % interval)")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


def _line(axes: Any, places: Sequence[int], scores: Sequence[JsonObject], style: tuple[str, str, float]) -> None:
    label, color, width = style
    heights = [100 * score["score"] for score in scores]
    below = [100 * (score["score"] - score["low"]) for score in scores]
    above = [100 * (score["high"] - score["score"]) for score in scores]
    axes.errorbar(
        places,
        heights,
        yerr=[below, above],
        label=label,
        color=color,
        linewidth=width,
        marker="o",
        markersize=2 + 1.6 * width,
        capsize=3,
    )
