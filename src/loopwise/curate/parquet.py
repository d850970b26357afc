# pyright: basic
"""Datasets on disk: named by their rows, readable by ``datasets`` and straight into TRL. (pyarrow ships no types.)"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from loopwise.curate.sorting import sorted_lines
from loopwise.errors import missing_extra
from loopwise.types import Dataset, Example, JsonObject, Message

try:
    import pyarrow as pa
    import pyarrow.json as pj
    import pyarrow.parquet as pq
except ImportError as error:
    raise missing_extra("pyarrow") from error

ROW_GROUP = 10_000  # rows
_CALL = pa.struct(
    [
        ("id", pa.string()),
        ("type", pa.string()),
        ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())])),  # arguments: a JSON text
    ]
)
_MESSAGES = pa.list_(
    pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),  # never null; empty where an answer is tool calls alone
            ("name", pa.string()),
            ("tool_call_id", pa.string()),  # of a message of role "tool"
            ("tool_calls", pa.list_(_CALL)),
        ]
    )
)
SCHEMA = pa.schema(
    [
        ("prompt", _MESSAGES),
        ("completion", _MESSAGES),  # one message of the assistant
        ("rejected", _MESSAGES),  # of a pair, one message that is worse than the completion; null for all else
        ("tools", pa.string()),  # what the model could call, as a JSON text of OpenAI's list; null for nothing
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
    """The row that is trained on: TRL's conversational prompt and completion, with its provenance.

    What a plain conversation lacks (tools, tool calls, names, a rejected answer) is left out, not null: rows name the
    dataset, and its name must not change with columns that it does not use.
    """
    answer: JsonObject = {"role": "assistant", "content": example.completion}
    if example.tool_calls:
        answer["tool_calls"] = [_call(call) for call in example.tool_calls]
    found: JsonObject = {
        "prompt": [_message(message) for message in example.messages],
        "completion": [answer],
        "kind": example.kind,
        "source": example.source,
        "provenance": list(example.provenance),
        "weight": example.weight,
        "key": example.key,
        "user": example.user,
        "segment": example.segment,
    }
    if example.rejected is not None:
        found["rejected"] = [{"role": "assistant", "content": example.rejected}]
    if example.tools:
        found["tools"] = _canonical(list(example.tools))
    return found


def _message(message: Message) -> JsonObject:
    told: JsonObject = {"role": message["role"], "content": message["content"]}
    told |= {key: message[key] for key in ("name", "tool_call_id") if isinstance(message.get(key), str)}
    if message.get("tool_calls"):
        told["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return told


def _call(call: Mapping[str, Any]) -> JsonObject:
    function = call["function"]
    return {
        "id": call.get("id", ""),
        "type": "function",
        "function": {"name": function["name"], "arguments": function.get("arguments", "")},
    }


def row_digest(example: Example) -> str:
    return hashlib.sha256(_canonical(row(example)).encode()).hexdigest()


@contextmanager
def sorted_rows(examples: Iterable[Example]) -> Generator[Iterator[bytes]]:
    """The canonical JSON of each example's row, sorted. All examples are read before the first row is given."""
    with sorted_lines(_canonical(row(example)).encode() for example in examples) as lines:
        yield lines


def store(rows: Iterable[bytes], manifest: JsonObject, out: Path) -> Dataset:
    """Writes sorted rows as ``<hex>.parquet``, and ``<hex>.json``, into the folder ``out``, each in one step.

    The name is the SHA-256 of the rows' canonical JSON, a line each, not of Parquet's bytes, which change with its
    version. Holds one row group in memory at a time.
    """
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{os.getpid()}.partial"
    digest, n = hashlib.sha256(), 0
    with pq.ParquetWriter(partial, SCHEMA) as writer:
        stream = iter(rows)
        while group := list(islice(stream, ROW_GROUP)):
            lines = b"\n".join([*group, b""])
            digest.update(lines)
            n += len(group)
            writer.write_table(_table(lines))
    name = digest.hexdigest()
    dataset = Dataset(f"sha256:{name}", out / f"{name}.parquet", n, {**manifest, "rows": n})
    partial.rename(dataset.path)
    partial.write_text(json.dumps(dataset.manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.rename(dataset.path.with_suffix(".json"))
    return dataset


def write(examples: Iterable[Example], manifest: JsonObject, out: Path) -> Dataset:
    """The dataset of ``examples`` as they are, in the folder ``out``: see ``store``."""
    with sorted_rows(examples) as rows:
        return store(rows, manifest, out)


def _table(lines: bytes) -> Any:
    whole = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)  # a row may be longer than a usual block
    options = pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="error")
    return pj.read_json(io.BytesIO(lines), read_options=whole, parse_options=options)


def read(path: Path, columns: list[str]) -> list[JsonObject]:
    """Some columns of a dataset's rows, in their order."""
    return pq.read_table(path, columns=columns).to_pylist()  # pyright: ignore


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
