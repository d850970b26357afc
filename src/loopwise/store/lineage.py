# pyright: basic, reportAttributeAccessIssue=false
"""What a dataset's rows rest on, read by column and in batches, without their text. (pyarrow ships no types.)

When a person is forgotten, the file of a dataset with rows of theirs goes, and beside its manifest ``<hex>.lineage``
stays: kind, source, provenance and person of each row, in the same order, so that answers can still be traced.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loopwise.errors import missing_extra

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    raise missing_extra("pyarrow") from error

_COLUMNS = ["kind", "source", "provenance", "weight", "user"]
_ROWS = 100_000  # in memory at a time
_FIRST = 5  # rows that are told, of those that are found


@dataclass(frozen=True)
class Row:
    """One example without its text; ``n`` is its place in the dataset, counted from 0."""

    n: int
    kind: str
    source: str
    provenance: tuple[str, ...]
    weight: float
    user: str | None


@dataclass(frozen=True)
class Rows:
    """Rows that were looked for: how many, the first few, and how many by kind and by person."""

    count: int
    first: tuple[Row, ...]
    kinds: Counter[str]
    people: Counter[str]


def readable(path: Path) -> bool:
    """Whether it can still be told what the dataset at ``path`` rests on."""
    return path.exists() or _sidecar(path).exists()


def people_rows(path: Path) -> Rows:
    """The rows that rest on what people said. Raises FileNotFoundError where ``readable`` says no."""
    return _found(path, lambda batch: batch["user"].is_valid().to_numpy(zero_copy_only=False))


def resting_on(path: Path, ids: Collection[str], users: Collection[str] = ()) -> Rows:
    """The rows whose provenance holds one of ``ids``, or that are of one of ``users``."""
    wanted, of = pa.array(list(ids), pa.string()), pa.array(list(users), pa.string())

    def rests(batch: Any) -> Any:
        hits = pc.is_in(batch["user"], value_set=of).to_numpy(zero_copy_only=False)
        lists = batch["provenance"]
        used = pc.list_parent_indices(lists).filter(pc.is_in(pc.list_flatten(lists), value_set=wanted))
        hits = hits.copy()
        hits[used.to_numpy()] = True
        return hits

    return _found(path, rests)


def row(path: Path, n: int) -> Row | None:
    """The row ``n``; None where there are fewer."""
    seen = 0
    for batch in _batches(path):
        if 0 <= n - seen < batch.num_rows:
            return _row(n, batch.slice(n - seen, 1).to_pylist()[0])
        seen += batch.num_rows
    return None


def drop_text(path: Path, users: Collection[str]) -> None:
    """Takes the file of a dataset from the disk and leaves its lineage, in which ``users`` have no name any more. Doing
    it twice changes nothing. Raises FileNotFoundError where ``readable`` says no."""
    of = pa.array(list(users), pa.string())
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
    try:
        writer = None
        for batch in _batches(path):
            nobody = pa.nulls(batch.num_rows, pa.string())
            named = pc.if_else(pc.is_in(batch["user"], value_set=of), nobody, batch["user"])
            batch = batch.set_column(batch.schema.get_field_index("user"), "user", named)
            writer = writer or pq.ParquetWriter(partial, batch.schema)
            writer.write_batch(batch)
        if writer:
            writer.close()
            _flush(partial)
            partial.rename(_sidecar(path))
    finally:
        partial.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _found(path: Path, wanted: Any) -> Rows:
    count, first = 0, list[Row]()
    kinds: Counter[str] = Counter()
    people: Counter[str] = Counter()
    seen = 0
    for batch in _batches(path):
        places = np.flatnonzero(wanted(batch))
        count += len(places)
        for place in places[: _FIRST - len(first)]:
            first.append(_row(seen + int(place), batch.slice(int(place), 1).to_pylist()[0]))
        hits = batch.take(pa.array(places))
        for counter, column in ((kinds, "kind"), (people, "user")):
            for value in pc.value_counts(hits[column].drop_null()).to_pylist():
                counter[value["values"]] += value["counts"]
        seen += batch.num_rows
    return Rows(count, tuple(first), kinds, people)


def _batches(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path if path.exists() else _sidecar(path)) as file:
        yield from file.iter_batches(_ROWS, columns=_COLUMNS)


def _row(n: int, values: Any) -> Row:
    return Row(n, **{**values, "provenance": tuple(values["provenance"])})


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".lineage")


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
