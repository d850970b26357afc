"""Datasets, candidates and reports: what a turn makes.

Paths are kept relative to ``root``, the project folder, so that a project can be moved or copied whole.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, RowMapping, select

from loopwise.errors import UnknownNameError
from loopwise.store.inserts import insert_new
from loopwise.store.schema import candidates, datasets, reports
from loopwise.types import Candidate, Dataset, JsonObject


def add_dataset(conn: Connection, made: Dataset, turn: int, root: Path) -> None:
    path = str(made.path.relative_to(root))
    insert_new(conn, datasets, [{**asdict(made), "path": path, "turn": turn, "at": time.time()}])


def all_datasets(conn: Connection, root: Path) -> list[tuple[int, Dataset]]:
    """(turn that first made it, dataset), oldest first."""
    rows = conn.execute(select(datasets).order_by(datasets.c.at)).mappings()
    return [(row["turn"], _dataset(row, root)) for row in rows]


def get_dataset(conn: Connection, name: str, root: Path) -> Dataset | None:
    row = conn.execute(select(datasets).where(datasets.c.name == name)).mappings().first()
    return _dataset(row, root) if row else None


def dataset(conn: Connection, name: str, root: Path) -> Dataset:
    """The dataset called ``name``. Raises UnknownNameError."""
    found = get_dataset(conn, name, root)
    if found is None:
        raise UnknownNameError(f"There is no dataset named {name!r}; 'loopwise datasets' lists those that exist.")
    return found


def add_candidate(conn: Connection, made: Candidate, root: Path) -> None:
    path = str(made.path.relative_to(root))
    insert_new(conn, candidates, [{**asdict(made), "path": path, "at": time.time()}])


def get_candidate(conn: Connection, name: str, root: Path) -> Candidate | None:
    row = conn.execute(select(candidates).where(candidates.c.name == name)).mappings().first()
    if row is None:
        return None
    fields: JsonObject = {key: value for key, value in row.items() if key != "at"}
    fields["path"] = root / fields["path"]
    return Candidate(**fields)


def add_report(conn: Connection, turn: int, report: JsonObject) -> None:
    insert_new(conn, reports, [{"turn": turn, "report": report, "at": time.time()}])


def get_report(conn: Connection, turn: int) -> JsonObject | None:
    return conn.scalar(select(reports.c.report).where(reports.c.turn == turn))


def last_report_turn(conn: Connection) -> int | None:
    return conn.scalar(select(reports.c.turn).order_by(reports.c.turn.desc()).limit(1))


def _dataset(row: RowMapping, root: Path) -> Dataset:
    return Dataset(row["name"], root / row["path"], row["n"], row["manifest"])
