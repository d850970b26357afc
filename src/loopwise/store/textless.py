"""What is kept of requests, responses and feedback whose text must not be.

An allow list of fields, so that no unknown field leaks; and of values, so that no text hides in a field that is known:
numbers, and names without spaces. Token ids and embeddings go too, since text can be made of them again. Anything may
stand in a record, which a server or a client wrote: none of these functions raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from loopwise.types import Feedback, JsonObject

_NAME = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)
_REQUEST_FIELDS = {
    "model", "user", "safety_identifier", "n", "best_of", "temperature", "top_p", "top_k", "min_p", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "max_tool_calls", "seed", "stream", "stream_options", "store", "echo",
    "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "repetition_penalty", "parallel_tool_calls",
    "previous_response_id", "dimensions", "encoding_format", "reasoning_effort", "service_tier", "truncation",
    "background",
}  # fmt: skip
_RESPONSE_FIELDS = {
    "id", "object", "created", "created_at", "completed_at", "model", "system_fingerprint", "service_tier", "usage",
    "status", "previous_response_id", "incomplete_details",
}  # fmt: skip
_PARTS = {  # of each item of these lists
    "messages": ("role",),
    "input": ("type", "role"),
    "choices": ("index", "finish_reason"),
    "output": ("type", "id", "role", "status"),
    "data": ("object", "index"),
}
_METADATA_FIELDS = {"scale", "name", "by", "after_s"}
_DEEPEST = 4  # usage holds objects of numbers, of which none is deeper


def textless_request(request: JsonObject) -> JsonObject:
    """Sampling parameters and names; of messages, the roles."""
    return _kept(request, _REQUEST_FIELDS, ("messages", "input"))


def textless_response(response: JsonObject) -> JsonObject:
    """Ids, usage and how each choice ended."""
    return _kept(response, _RESPONSE_FIELDS, ("choices", "output", "data"))


def textless_error(error: str | None, status: int) -> str | None:
    """The status alone: a server's refusal may quote the prompt."""
    return None if error is None else f"status {status}"


def textless_feedback(row: Feedback) -> Feedback:
    """Its kind and its numbers, without what anybody wrote."""
    metadata = {key: value for key, value in row.metadata.items() if key in _METADATA_FIELDS and _harmless(value)}
    return replace(row, value=_numbers(row.value), comment=None, metadata=metadata)


def _kept(record: JsonObject, fields: set[str], lists: tuple[str, ...]) -> JsonObject:
    kept = {key: value for key, value in record.items() if key in fields and _harmless(value)}
    for name in lists:
        items = record.get(name)
        if isinstance(items, list):
            objects = [cast(JsonObject, item) for item in cast(list[Any], items) if isinstance(item, dict)]
            kept[name] = [_part(item, _PARTS[name]) for item in objects]
    return kept


def _part(item: Mapping[str, Any], fields: tuple[str, ...]) -> JsonObject:
    return {name: item[name] for name in fields if name in item and _harmless(item[name])}


def _harmless(value: Any, depth: int = 0) -> bool:
    """Numbers and names, and objects and lists of them."""
    if value is None or isinstance(value, bool | int | float):
        return True
    if isinstance(value, str):
        return _NAME.fullmatch(value) is not None
    if depth == _DEEPEST:
        return False
    if isinstance(value, list | tuple):
        return all(_harmless(item, depth + 1) for item in cast(list[Any], value))
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value).items()
        return all(_harmless(key) and _harmless(item, depth + 1) for key, item in items)
    return False


def _numbers(value: Any) -> Any:
    """A number, or the numbers of a preference; None for anything else."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        pair = cast(dict[Any, Any], value)
        return {key: _numbers(pair[key]) for key in ("chosen", "rejected") if key in pair}
    return None
