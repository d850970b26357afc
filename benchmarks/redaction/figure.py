"""Recall and precision per kind, and false alarms, a group of bars for each."""

from __future__ import annotations

from pathlib import Path

from benchmarks.redaction.measure import KINDS, total

COLORS = ("#1f5fbf", "#9a6a1f", "#4d8a57", "#8a4d7d", "#777777")


def draw(columns: dict[str, dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4), dpi=130, width_ratios=[3, 3, 1.4])
    width = 0.8 / len(columns)
    for panel, measure in zip(panels, ("recall", "precision", "false alarms"), strict=True):
        for i, (name, column) in enumerate(columns.items()):
            rows = (
                [column[measure].get(k) for k in KINDS]
                if measure != "false alarms"
                else [total(column["false_alarms"])]
            )
            for at, row in enumerate(rows):
                if row:
                    ends = [[100 * (row["share"] - row["low"])], [100 * (row["high"] - row["share"])]]
                    bar = at + (i - (len(columns) - 1) / 2) * width
                    panel.bar(
                        bar, 100 * row["share"], width, color=COLORS[i], yerr=ends, label=name if not at else None
                    )
        panel.set_title(f"{measure}, %", loc="left", fontsize=11)
        labels = list(KINDS) if measure != "false alarms" else ["clean records"]
        panel.set_xticks(range(len(labels)), labels, fontsize=9)
        panel.grid(axis="y", alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[2].axhline(1, color="black", linewidth=0.8, linestyle=":")
    named = panels[2].get_legend_handles_labels()
    figure.legend(*named, loc="lower center", ncols=len(columns), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path)
    pyplot.close(figure)
