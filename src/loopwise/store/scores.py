"""Suite scores by suite version and weights fingerprint: the same weights are never scored twice."""

from __future__ import annotations

import json
import time

from sqlalchemy import Connection, RowMapping, select

from loopwise.store.blobs import Blobs
from loopwise.store.inserts import insert_new
from loopwise.store.schema import scores
from loopwise.types import SuiteScores


def add(conn: Connection, blobs: Blobs, found: SuiteScores) -> None:
    content = json.dumps({"scores": found.scores, "answers": found.answers}).encode()
    row = {name: vars(found)[name] for name in ("suite", "version", "fingerprint", "release")}
    insert_new(conn, scores, [{**row, "blob": blobs.put(content), "at": time.time()}])


def get(conn: Connection, blobs: Blobs, suite: str, version: str, fingerprint: str) -> SuiteScores | None:
    key = {"suite": suite, "version": version, "fingerprint": fingerprint}
    row = conn.execute(select(scores).filter_by(**key)).mappings().first()
    return _suite_scores(row, blobs) if row else None


def of_suite(conn: Connection, blobs: Blobs, suite: str) -> list[SuiteScores]:
    """All scores on ``suite``, oldest first."""
    rows = conn.execute(select(scores).filter_by(suite=suite).order_by(scores.c.at)).mappings()
    return [_suite_scores(row, blobs) for row in rows]


def _suite_scores(row: RowMapping, blobs: Blobs) -> SuiteScores:
    content = json.loads(blobs.get(row["blob"]))
    key = (row["suite"], row["version"], row["release"], row["fingerprint"])
    return SuiteScores(*key, tuple(content["scores"]), tuple(content["answers"]))
