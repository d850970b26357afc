"""What a command prints: text for people, or one JSON document."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loopwise.stats.intervals import Interval
from loopwise.types import JsonObject

console = Console()


def emit(document: JsonObject, as_json: bool, text: str | Table) -> None:
    """Prints ``document`` as JSON, or ``text`` for people."""
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    elif isinstance(text, Table):
        console.print(text)
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Table:
    """A table for people. Columns whose name starts with '>' are aligned to the right."""
    found = Table(title=title, title_justify="left")
    for column in columns:
        # folded, not cut: a name that is cut cannot be copied
        justify = "right" if column.startswith(">") else "left"
        found.add_column(column.removeprefix(">"), justify=justify, overflow="fold")
    for row in rows:
        found.add_row(*(escape(str(cell)) for cell in row))  # [gateway] is a section, not a style
    return found


def scored(interval: Interval) -> JsonObject:
    """An interval as documents show it: ``score, low, high, n``, shares of 1."""
    return {"score": interval.estimate, "low": interval.low, "high": interval.high, "n": interval.n}


def points(score: float, low: float, high: float) -> str:
    """A share of 1 with its interval, in points: ``76.2 [74.0, 78.3]``."""
    return f"{100 * score:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def clock(at: float) -> str:
    """Seconds since the epoch as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
