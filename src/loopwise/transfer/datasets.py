# pyright: basic
"""Takes out a dataset as a file that something else trains on: JSON lines, or the Parquet file as it is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from loopwise.errors import missing_extra
from loopwise.transfer.training import TRAINING
from loopwise.types import JsonObject, Progress

try:
    import pyarrow.parquet as pq
except ImportError as error:
    raise missing_extra("pyarrow") from error

PARQUET = "parquet"
_ROWS = 1_000  # in memory at a time


@dataclass
class Taken:
    """``rows`` of the dataset became ``lines``; ``left_out`` counts the others by reason, ``unweighted`` those of
    ``rows`` whose weight, which is not 1, the format does not tell."""

    rows: int = 0
    lines: int = 0
    unweighted: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def write_lines(path: Path, format: str, file: TextIO, progress: Progress) -> Taken:
    """Writes the rows of the dataset at ``path`` as lines of ``format``."""
    done, seen = Taken(), 0
    total = pq.read_metadata(path).num_rows
    for rows in _batches(path):
        for row in rows:
            lines = TRAINING[format](row)
            if isinstance(lines, str):
                done.left_out[lines] += 1
                continue
            done.rows += 1
            done.lines += len(lines)
            done.unweighted += row["weight"] != 1.0
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        seen += len(rows)
        progress("rows", seen, total)
    return done


def copy(path: Path, out: Path) -> Taken:
    """Copies the file: its rows are what the dataset is named by."""
    part = out.with_name(out.name + ".part")
    try:
        shutil.copyfile(path, part)
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)
    rows = pq.read_metadata(path).num_rows
    return Taken(rows, rows)


def _batches(path: Path) -> Iterator[list[JsonObject]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_ROWS):
            yield batch.to_pylist()
