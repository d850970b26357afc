"""Progress of long work, drawn on standard error so that it never mixes with the answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bars, TaskID, TextColumn, TimeElapsedColumn

from loopwise.types import Progress


def bars(console: Console | None = None) -> Bars:
    """The bars that every long command shows."""
    return Bars(
        TextColumn("  {task.description:<22}"),
        BarColumn(28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console or Console(stderr=True),
        transient=True,
    )


def reporter(shown_bars: Bars) -> Progress:
    """A ``Progress`` that keeps one bar per step, and only the latest one visible."""
    tasks: dict[str, TaskID] = {}

    def progress(step: str, done: int, total: int) -> None:
        if step not in tasks:
            for task in tasks.values():
                shown_bars.update(task, visible=False)
            tasks[step] = shown_bars.add_task(step, total=total)
        if done >= total:
            shown_bars.remove_task(tasks.pop(step))
        else:
            shown_bars.update(tasks[step], completed=done, total=total)

    return progress


def silent(step: str, done: int, total: int) -> None:
    """A ``Progress`` that draws nothing."""


@contextmanager
def shown(quiet: bool) -> Generator[Progress]:
    """A ``Progress`` on the terminal for as long as the block runs; a silent one when ``quiet``."""
    if quiet:
        yield silent
        return
    with bars() as drawn:
        yield reporter(drawn)
