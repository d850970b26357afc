"""The append-only journal of turn stages: a stage is done when, and only when, its last row says ``done``."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select

from loopwise.store.schema import stages
from loopwise.types import JsonObject


def write(conn: Connection, turn: int, stage: str, status: str, payload: JsonObject) -> None:
    row = {"turn": turn, "stage": stage, "status": status, "payload": payload, "at": time.time()}
    conn.execute(stages.insert(), row)


def done(conn: Connection, turn: int) -> dict[str, JsonObject]:
    """Payload by stage, for the stages of ``turn`` that are done, in order, and not undone since."""
    found: dict[str, JsonObject] = {}
    for row in rows(conn, turn):
        if row["status"] == "done":
            found[row["stage"]] = row["payload"]
        elif row["status"] == "undone":
            found.pop(row["stage"], None)
    return found


def rows(conn: Connection, turn: int) -> list[JsonObject]:
    """Every row of ``turn``, in order: ``stage, status, payload, at``."""
    query = select(stages).where(stages.c.turn == turn).order_by(stages.c.seq)
    return [dict(row) for row in conn.execute(query).mappings()]


def open_turn(conn: Connection, last_stage: str) -> int:
    """The turn that was cut short before ``last_stage`` was done, or the number of a new one."""
    last = last_turn(conn)
    return last if last and last_stage not in done(conn, last) else last + 1


def last_turn(conn: Connection) -> int:
    """The highest turn that was ever begun; 0 when there is none."""
    return conn.scalar(select(func.max(stages.c.turn))) or 0
