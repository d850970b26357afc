"""Datasets, candidates and reports: what a turn makes."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, RowMapping, select

from loopwise.store.inserts import insert_new
from loopwise.store.schema import candidates, datasets, reports
from loopwise.types import Candidate, Dataset, JsonObject


def add_dataset(conn: Connection, dataset: Dataset, turn: int) -> None:
    insert_new(conn, datasets, [{**asdict(dataset), "path": str(dataset.path), "turn": turn, "at": time.time()}])


def all_datasets(conn: Connection) -> list[tuple[int, Dataset]]:
    """(turn that first made it, dataset), oldest first."""
    rows = conn.execute(select(datasets).order_by(datasets.c.at)).mappings()
    return [(row["turn"], _dataset(row)) for row in rows]


def get_dataset(conn: Connection, name: str) -> Dataset | None:
    row = conn.execute(select(datasets).where(datasets.c.name == name)).mappings().first()
    return _dataset(row) if row else None


def add_candidate(conn: Connection, candidate: Candidate) -> None:
    insert_new(conn, candidates, [{**asdict(candidate), "path": str(candidate.path), "at": time.time()}])


def get_candidate(conn: Connection, name: str) -> Candidate | None:
    row = conn.execute(select(candidates).where(candidates.c.name == name)).mappings().first()
    if row is None:
        return None
    fields: JsonObject = {key: value for key, value in row.items() if key != "at"}
    fields["path"] = Path(fields["path"])
    return Candidate(**fields)


def add_report(conn: Connection, turn: int, report: JsonObject) -> None:
    insert_new(conn, reports, [{"turn": turn, "report": report, "at": time.time()}])


def get_report(conn: Connection, turn: int) -> JsonObject | None:
    return conn.scalar(select(reports.c.report).where(reports.c.turn == turn))


def last_report_turn(conn: Connection) -> int | None:
    return conn.scalar(select(reports.c.turn).order_by(reports.c.turn.desc()).limit(1))


def _dataset(row: RowMapping) -> Dataset:
    return Dataset(row["name"], Path(row["path"]), row["n"], row["manifest"])
