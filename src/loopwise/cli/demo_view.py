"""What the demo shows while it runs, and at its end."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console

from loopwise.cli.output import points
from loopwise.cli.progress import bars, reporter, silent
from loopwise.types import JsonObject

_WIDTHS = (8, 10, 20, 20)


class DemoView:
    """A table that grows by a row each turn, with a bar for what is being done below it. Silent for ``--json``."""

    def __init__(self, quiet: bool):
        self._console = Console(stderr=quiet, quiet=quiet)
        self._bars = bars(self._console)
        self._seconds = 0.0
        self.progress = silent if quiet else reporter(self._bars)

    def __enter__(self) -> DemoView:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def base(self, base: JsonObject, gateway: str) -> None:
        self._console.print(f"The gateway serves at {gateway}/v1, the page at {gateway}/ while this runs.\n")
        names = ("turn", "serves", "target, % [95 %]", *base["anchors"])
        self._line(names, "verdict", "seconds")
        self._line(("base", base["release"], *_scores(base)), "-", "-")

    def turn(self, row: JsonObject) -> None:
        self._line((str(row["turn"]), row["release"], *_scores(row)), row["verdict"], f"{row['seconds']:.0f}")

    def _line(self, cells: tuple[str, ...], verdict: str, seconds: str) -> None:
        widths = (*_WIDTHS[:2], *(_WIDTHS[2] for _ in cells[2:]))
        text = "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        self._console.print(f"{text}{verdict:<12}{seconds:>7}", highlight=False, markup=False, soft_wrap=True)


def closing(document: JsonObject, directory: Path) -> str:
    """The last words: what was gained, how sure it is, where the picture is, and what to do next."""
    base, champion = document["base"], document["champion"]
    gain = 100 * (champion["target"]["score"] - base["target"]["score"])
    apart = champion["target"]["low"] > base["target"]["high"]
    lines = [
        "",
        f"{base['release']} answered {points(*_interval(base['target']))} % of the held-out questions, "
        f"{champion['release']} {points(*_interval(champion['target']))} %: {gain:+.1f} points"
        f"{', and the intervals do not overlap' if apart else '; the intervals overlap'}.",
    ]
    for name, before in base["anchors"].items():
        after = champion["anchors"][name]
        lines.append(f"Anchor {name}, never practised: {points(*_interval(before))} → {points(*_interval(after))}.")
    lines += [
        f"{len(document['turns'])} turns, {document['seconds']:.0f} s. Each figure was asked of the model over HTTP.",
        f"Picture: {document['plot']}",
        "",
        "What to do next:",
        f"  loopwise report --dir {directory}      why the last candidate was released or refused",
        f"  loopwise up --dir {directory}          serve it: chat, thumbs and scores on one page",
        f"  loopwise trace {champion['release']} --dir {directory}    from the weights back to their data and people",
    ]
    return "\n".join(lines)


def _scores(row: JsonObject) -> list[str]:
    return [points(*_interval(row["target"])), *(points(*_interval(score)) for score in row["anchors"].values())]


def _interval(score: JsonObject) -> tuple[float, float, float]:
    return score["score"], score["low"], score["high"]
