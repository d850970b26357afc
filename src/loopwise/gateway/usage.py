"""Token counts in an answer, under the names that each of OpenAI's endpoints has for them."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from loopwise.types import JsonObject


class Usage(NamedTuple):
    """None where the model's server did not say. ``cached`` are among the input, ``reasoning`` among the output."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


_NONE = Usage()


def usage_of(response: JsonObject | None) -> Usage:
    """What the server counted, as far as it is counts: it may have sent anything."""
    told = _object(response, "usage")
    if not told:
        return _NONE
    before, after = ("prompt", "completion") if "prompt_tokens" in told else ("input", "output")
    return Usage(
        input_tokens=_count(told.get(f"{before}_tokens")),
        output_tokens=_count(told.get(f"{after}_tokens")),
        cached_tokens=_count(_object(told, f"{before}_tokens_details").get("cached_tokens")),
        reasoning_tokens=_count(_object(told, f"{after}_tokens_details").get("reasoning_tokens")),
    )


def _object(value: JsonObject | None, key: str) -> JsonObject:
    found: Any = value.get(key) if value else None
    return cast(JsonObject, found) if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
