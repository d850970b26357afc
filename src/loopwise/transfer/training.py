"""What others train on, made of the rows of a dataset (``curate/parquet.py`` says what those hold).

A row becomes lines of a format, or the reason why that format cannot express it. TRL's are its conversational ones
(https://huggingface.co/docs/trl/dataset_formats); OpenAI's those of its guides on supervised fine-tuning and on direct
preference optimization. None of them knows the weight of a row: a row whose weight is 0 is left out.

Tools and the arguments of tool calls stay JSON texts for TRL, which reads tools so: objects of unlike keys would be
made alike, with nulls, by whatever loads JSON lines into columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from loopwise.types import JsonObject

Lines = list[JsonObject] | str  # or the reason why there are none
Convert = Callable[[JsonObject], Lines]

_IMITATED = ("practice", "demonstration", "approved", "anchor")
_OPENAI_ROLES = ("system", "user", "assistant", "tool")


def trl_sft(row: JsonObject) -> Lines:
    """``{prompt, completion}``, and ``tools`` where the model had any."""
    reason = _unusable(row) or _not_to_imitate(row)
    return reason or [{**_asked(row), "completion": _messages(row["completion"])}]


def trl_dpo(row: JsonObject) -> Lines:
    """``{prompt, chosen, rejected}``."""
    reason = _unusable(row) or _no_pair(row)
    return reason or [{**_asked(row), "chosen": _messages(row["completion"]), "rejected": _messages(row["rejected"])}]


def trl_kto(row: JsonObject) -> Lines:
    """``{prompt, completion, label}``; a pair is a line of each label."""
    reason = _unusable(row)
    if reason:
        return reason
    good = {**_asked(row), "completion": _messages(row["completion"]), "label": row["kind"] != "refused"}
    if row["kind"] != "pair":
        return [good]
    return [good, {**_asked(row), "completion": _messages(row["rejected"]), "label": False}]


def openai_sft(row: JsonObject) -> Lines:
    """``{messages}``, and ``tools``. An earlier answer has the weight 0: nobody said that it was good."""
    reason = _unusable(row) or _not_to_imitate(row) or _not_openais(row)
    if reason:
        return reason
    before = [
        {**message, "weight": 0} if message["role"] == "assistant" else message for message in _openais(row["prompt"])
    ]
    return [{"messages": [*before, *_openais(row["completion"])], **_openai_tools(row)}]


def openai_dpo(row: JsonObject) -> Lines:
    """``{input, preferred_output, non_preferred_output}``."""
    reason = _unusable(row) or _no_pair(row) or _not_openais(row)
    if reason:
        return reason
    asked = {"messages": _openais(row["prompt"]), **_openai_tools(row)}
    better, worse = _openais(row["completion"]), _openais(row["rejected"])
    return [{"input": asked, "preferred_output": better, "non_preferred_output": worse}]


TRAINING: Mapping[str, Convert] = {
    "trl-sft": trl_sft,
    "trl-dpo": trl_dpo,
    "trl-kto": trl_kto,
    "openai": openai_sft,
    "openai-dpo": openai_dpo,
}


def _unusable(row: JsonObject) -> str | None:
    if row["weight"] <= 0:
        return "its weight is 0"
    return None if row["prompt"] else "nothing was asked"


def _not_to_imitate(row: JsonObject) -> str | None:
    if row["kind"] == "pair":
        return "a pair says which answer is better, not that it is good"
    return None if row["kind"] in _IMITATED else "its answer was marked bad"


def _no_pair(row: JsonObject) -> str | None:
    return None if row["kind"] == "pair" else "it is no pair"


def _not_openais(row: JsonObject) -> str | None:
    other = sorted({message["role"] for message in row["prompt"]}.difference(_OPENAI_ROLES))
    if other:
        return f"OpenAI's format has no role {other[0]!r}"
    return None if all(map(_says_something, row["prompt"])) else "a message of the conversation is empty"


def _says_something(message: JsonObject) -> bool:
    return bool(message["content"] or message.get("tool_calls"))


def _asked(row: JsonObject) -> JsonObject:
    tools = {"tools": row["tools"]} if row.get("tools") else {}
    return {"prompt": _messages(row["prompt"]), **tools}


def _messages(messages: list[JsonObject]) -> list[JsonObject]:
    """Without the columns that a message does not use."""
    return [{name: value for name, value in message.items() if value is not None} for message in messages]


def _openais(messages: list[JsonObject]) -> list[JsonObject]:
    """The same, where an answer that only calls tools has no content."""
    return [
        {name: value for name, value in message.items() if name != "content" or value or not message.get("tool_calls")}
        for message in _messages(messages)
    ]


def _openai_tools(row: JsonObject) -> dict[str, Any]:
    return {"tools": json.loads(row["tools"])} if row.get("tools") else {}
