"""Imports a file: what can be taken is stored, what cannot is told with its line; twice imported is once stored.

A file is taken as it is. What use shows by itself (``gateway/seen.py``) is seen in what comes through the gateway,
``POST /v1/exchanges`` included, and not here: a file's rows stand in any order, and an export of ours holds its events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path

from sqlalchemy import Connection, select

from loopwise.errors import UnstorableError, UsageError, sentence_on_forgotten
from loopwise.store import Store, exchanges, feedback, forgotten
from loopwise.store.schema import feedback as feedback_table
from loopwise.transfer.formats import IMPORTS
from loopwise.transfer.reading import rows_of
from loopwise.transfer.row import Record, Refused, Row
from loopwise.types import Exchange, Feedback, JsonObject, Progress

MOST_TOLD = 1_000  # refused rows that are listed; all are counted
_BATCH = 1_000  # records in one transaction
_PEEKED = 10  # rows by which a wrong format is known


@dataclass
class Imported:
    """What came of a file. ``known`` were stored before, or twice in the file; ``left_out`` are rows that say nothing
    of an answer."""

    exchanges: int = 0
    feedback: int = 0
    known: int = 0
    left_out: int = 0
    refused: int = 0
    told: list[Refused] = field(default_factory=list[Refused])

    @property
    def nothing_taken(self) -> bool:
        return not (self.exchanges or self.feedback or self.known)

    def refuse(self, row: Refused) -> None:
        self.refused += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(row)

    def as_dict(self) -> JsonObject:
        return {
            "exchanges": self.exchanges,
            "feedback": self.feedback,
            "known": self.known,
            "left_out": self.left_out,
            "refused_count": self.refused,
            "refused": [{"line": row.line, "reason": row.reason} for row in sorted(self.told, key=attrgetter("line"))],
        }


def import_file(store: Store, path: Path, name: str, pseudonym_key: bytes | None, progress: Progress) -> Imported:
    """Reads the file at ``path`` as the format ``name`` into ``store``, a thousand records at a time.

    Raises UsageError for a file without rows or of another format, StoreError when the store fails: what was stored
    until then stays, and importing the file again goes on.
    """
    format, done = IMPORTS[name], Imported()
    rows = _of_format(rows_of(path, progress), path, name)
    taken = format.read(_readable(rows, done), pseudonym_key)
    batch: list[tuple[int, Record]] = []
    for row in taken:
        if isinstance(row, Refused):
            done.refuse(row)
            continue
        done.left_out += not row.records
        batch += [(row.line, record) for record in row.records]
        if len(batch) >= _BATCH:
            _write(store, batch, done)
            batch = []
    _write(store, batch, done)
    return done


def _readable(rows: Iterator[Row | Refused], done: Imported) -> Iterator[Row]:
    """The rows that could be read; the others are refused."""
    for row in rows:
        if isinstance(row, Row):
            yield row
        else:
            done.refuse(row)


def _of_format(rows: Iterator[Row | Refused], path: Path, name: str) -> Iterator[Row | Refused]:
    """The same rows. Raises UsageError where the first ones look like another format's, or there are none."""
    first = list(islice(rows, _PEEKED))
    if not first:
        raise UsageError(f"{path} holds no rows: there is nothing to import.")
    seen = [row.value for row in first if isinstance(row, Row)]
    if not any(IMPORTS[name].knows(value) for value in seen):
        others = [other for other, format in IMPORTS.items() if any(format.knows(value) for value in seen)]
        if others:
            raise UsageError(f"{path} looks like {others[0]}, not {name}: say --format {others[0]}.")
    return chain(first, rows)


def _write(store: Store, batch: Sequence[tuple[int, Record]], done: Imported) -> None:
    try:
        with store.writing() as conn:
            gone = forgotten.among(conn, {about for _, record in batch if (about := _about(record))})
            taken = [(line, record) for line, record in batch if _about(record) not in gone]
            added = _added(conn, [record for _, record in taken])
    except UnstorableError as error:
        if len(batch) == 1:  # one that no database holds must not take its neighbors with it
            done.refuse(Refused(batch[0][0], str(error)))
            return
        for item in batch:
            _write(store, [item], done)
        return
    done.exchanges += added[0]
    done.feedback += added[1]
    done.known += len(taken) - sum(added)
    for line, record in batch:
        if _about(record) in gone:
            done.refuse(Refused(line, sentence_on_forgotten(str(_about(record)))))


def _about(record: Record) -> str | None:
    """The id of the exchange that the record is, or is said of."""
    return record.id if isinstance(record, Exchange) else record.exchange_id


def _added(conn: Connection, records: Sequence[Record]) -> tuple[int, int]:
    """Adds the records; how many exchanges and how many feedback were new."""
    brought = [record for record in records if isinstance(record, Exchange)]
    said = [record for record in records if isinstance(record, Feedback)]
    brought_ids, said_ids = {row.id for row in brought}, {row.id for row in said}
    known_said = set(conn.scalars(select(feedback_table.c.id).where(feedback_table.c.id.in_(said_ids))))
    new = len(brought_ids - exchanges.known(conn, brought_ids)), len(said_ids - known_said)
    exchanges.add(conn, brought)
    feedback.add(conn, said)
    return new
