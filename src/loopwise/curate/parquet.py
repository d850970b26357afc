# pyright: basic
"""Datasets on disk: named by their rows, readable by ``datasets`` and straight into TRL. (pyarrow ships no types.)"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loopwise.errors import missing_extra
from loopwise.types import Dataset, Example, JsonObject, Message

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise missing_extra("pyarrow") from error

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


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
