# pyright: basic
"""Datasets on disk: named by their rows, readable by ``datasets`` and straight into TRL. (pyarrow ships no types.)"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import missing_extra
from loopwise.types import Dataset, Example, JsonObject

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise missing_extra("pyarrow") from error

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("prompt", _MESSAGES),
        ("completion", _MESSAGES),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("provenance", pa.list_(pa.string())),
        ("weight", pa.float64()),
        ("key", pa.string()),
        ("user", pa.string()),
        ("segment", pa.string()),
    ]
)


def row(example: Example) -> JsonObject:
    """The row that is trained on: TRL's conversational prompt and completion, with its provenance."""
    return {
        "prompt": [{"role": message["role"], "content": message["content"]} for message in example.messages],
        "completion": [{"role": "assistant", "content": example.completion}],
        "kind": example.kind,
        "source": example.source,
        "provenance": list(example.provenance),
        "weight": example.weight,
        "key": example.key,
        "user": example.user,
        "segment": example.segment,
    }


def row_digest(example: Example) -> str:
    return hashlib.sha256(_canonical(row(example)).encode()).hexdigest()


def write(examples: Sequence[Example], manifest: JsonObject, out: Path) -> Dataset:
    """Writes ``<hex>.parquet`` and ``<hex>.json`` into the folder ``out``, each in one step; rows are sorted.

    The name is the SHA-256 of the rows' canonical JSON, a line each, not of Parquet's bytes, which change with its
    version.
    """
    lines = sorted(_canonical(row(example)) for example in examples)
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
    dataset = Dataset(f"sha256:{digest}", out / f"{digest}.parquet", len(lines), {**manifest, "rows": len(lines)})
    out.mkdir(parents=True, exist_ok=True)
    table: Any = pa.Table.from_pylist([json.loads(line) for line in lines], schema=SCHEMA)
    partial = out / f".{digest}.{os.getpid()}.partial"
    pq.write_table(table, partial)
    partial.rename(dataset.path)
    partial.write_text(json.dumps(dataset.manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.rename(dataset.path.with_suffix(".json"))
    return dataset


def read(path: Path, columns: list[str]) -> list[JsonObject]:
    """Some columns of a dataset's rows, in their order."""
    return pq.read_table(path, columns=columns).to_pylist()  # pyright: ignore


def _canonical(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
