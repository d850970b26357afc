# pyright: basic
"""Parquet rows, as ``curate`` writes them → tokens, with what each teaches."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loopwise.errors import TrainingError
from loopwise.train.masking import Conversation, Masked, Masker, Unmaskable

_TOKENIZED_AT_ONCE = 1_000
_MOST_UNMASKABLE = 0.1  # of all rows: a few odd ones are left out, a template that does not fit is refused
_COLUMNS = ["prompt", "completion", "rejected", "tools", "kind", "weight"]


@dataclass(frozen=True)
class TokenRow:
    """One answer: ``ids`` of prompt and answer together; the answer begins at ``start``."""

    ids: tuple[int, ...]
    start: int
    weight: float


@dataclass(frozen=True)
class Row:
    """One row of a dataset; ``prompt`` is a hash of what was asked; ``rejected`` the worse answer of a pair."""

    kind: str
    prompt: str
    answer: TokenRow
    rejected: TokenRow | None = None

    @property
    def length(self) -> int:
        return max(len(self.answer.ids), len(self.rejected.ids) if self.rejected else 0)


@dataclass(frozen=True)
class Rows:
    """What can be learned from, and how many rows were left out for which reason."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, int]


def read(dataset: Path, masker: Masker, max_length: int) -> Rows:
    """Tokenizes every row of a dataset.

    Left out and counted are rows that are longer than ``max_length`` tokens (never truncated: a cut answer teaches to
    stop short), of no weight, with tool arguments that are no JSON object, or that the chat template cannot render
    with a mask. Raises TrainingError when more than a tenth are of the last kind: then it is the template that does
    not fit, and the sentence says in what.
    """
    table = pq.read_table(dataset, columns=_COLUMNS).to_pylist()
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    unmaskable: list[Unmaskable] = []
    for begin in range(0, len(table), _TOKENIZED_AT_ONCE):
        for found in _rows(table[begin : begin + _TOKENIZED_AT_ONCE], masker):
            if isinstance(found, Unmaskable):
                unmaskable.append(found)
                left_out[found.reason] += 1
            elif isinstance(found, str):
                left_out[found] += 1
            elif found.length > max_length:
                left_out["too long"] += 1
            else:
                rows.append(found)
    if len(unmaskable) > _MOST_UNMASKABLE * len(table):
        raise TrainingError(
            f"{len(unmaskable)} of the {len(table)} rows of {dataset.name} cannot be trained on with this model's "
            f"template. {unmaskable[0].detail}"
        )
    return Rows(tuple(rows), dict(sorted(left_out.items())))


def _rows(table: Sequence[Mapping[str, Any]], masker: Masker) -> list[Row | Unmaskable | str]:
    """Each row as tokens, or why it is left out."""
    parsed = [_parsed(row) for row in table]
    flat = [one for found in parsed if not isinstance(found, str) for one in found]
    masked = iter(masker.mask(flat))
    made: list[Row | Unmaskable | str] = []
    for row, found in zip(table, parsed, strict=True):
        made.append(found if isinstance(found, str) else _row(row, [next(masked) for _ in found]))
    return made


def _row(row: Mapping[str, Any], masked: Sequence[Masked | Unmaskable]) -> Row | Unmaskable:
    answers: list[TokenRow] = []
    for one in masked:
        if isinstance(one, Unmaskable):
            return one
        answers.append(TokenRow(one.ids, one.start, row["weight"]))
    asked = json.dumps([row["prompt"], row["tools"]], sort_keys=True).encode()
    return Row(row["kind"], hashlib.sha256(asked).hexdigest(), answers[0], answers[1] if len(answers) > 1 else None)


def _parsed(row: Mapping[str, Any]) -> list[Conversation] | str:
    """The conversation with the row's answer, and for a pair that with the rejected one; or why there is none."""
    if not (row["weight"] > 0 and math.isfinite(row["weight"])):
        return "no weight"
    answers = [_message(answers[0]) for answers in (row["completion"], row["rejected"]) if answers]
    calls = [call for answer in answers for call in answer.get("tool_calls", ())]
    if not all(isinstance(call["function"]["arguments"], dict) for call in calls):
        return "tool arguments are no JSON object"
    tools = json.loads(row["tools"]) if row["tools"] else None
    prompt = [_message(message) for message in row["prompt"]]
    return [Conversation(prompt, answer, tools) for answer in answers]


def _message(told: Mapping[str, Any]) -> dict[str, Any]:
    """The message as templates want it: nothing that is null, tool arguments as objects."""
    message = {key: value for key, value in told.items() if value is not None and key != "tool_calls"}
    message.setdefault("content", "")
    if told["tool_calls"]:
        message["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _arguments(call["function"]["arguments"])}}
            for call in told["tool_calls"]
        ]
    return message


def _arguments(text: str | None) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text
