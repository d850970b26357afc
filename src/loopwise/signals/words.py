"""What was asked and answered, as texts and as hashes. Anything may stand in a record: nothing here raises."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from loopwise.types import Exchange, JsonObject

_INSTRUCTIONS = ("system", "developer")
_canonical = json.JSONEncoder(sort_keys=True, default=str).encode


def normalized(text: str) -> str:
    """Unicode NFKC, case folded, runs of white space as one space: what people would call the same text."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(*parts: Any) -> int:
    """A signed 64-bit hash that follows from ``parts`` on any machine; never 0, which stands for nothing."""
    text = _canonical(parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


@lru_cache(maxsize=1_000)
def digest_of_name(name: str) -> int:
    """``digest`` of one of a few names that come again and again."""
    return digest(name)


def answers(exchange: Exchange) -> dict[int, str]:
    """The text of each choice, by its index; choices without text, such as tool calls, are not there."""
    response = exchange.response or {}
    if exchange.endpoint == "responses":
        parts = [part for item in _objects(response.get("output")) for part in _objects(item.get("content"))]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        return {0: "".join(texts)} if texts else {}
    found: dict[int, str] = {}
    for place, choice in enumerate(_objects(response.get("choices"))):
        message: Any = choice.get("message")
        text: Any = cast(JsonObject, message).get("content") if isinstance(message, dict) else choice.get("text")
        index: Any = choice.get("index", place)
        if isinstance(text, str) and isinstance(index, int):
            found[index] = text
    return found


def asked(exchange: Exchange) -> str | None:
    """All that came before the answer, normalized; None where no text of it is kept."""
    turns = [[turn.get("role"), _content(turn)] for turn in _turns(exchange.request)]
    return json.dumps(turns) if any(text for _, text in turns) else None


def context(request: JsonObject) -> frozenset[str]:
    """The words of the instructions that the model was given, and the names of the tools that it could call."""
    told = [_content(turn) for turn in _turns(request) if turn.get("role") in _INSTRUCTIONS]
    tools = [tool.get("function", tool) for tool in _objects(request.get("tools"))]
    names = [cast(JsonObject, tool).get("name") for tool in tools if isinstance(tool, dict)]
    return frozenset([word for text in told for word in text.split()] + [f"tool:{name}" for name in names])


def segment(request: JsonObject) -> str:
    """Which part of the product asked, where the request's metadata says so; else empty."""
    metadata: Any = request.get("metadata")
    value: Any = cast(JsonObject, metadata).get("segment") if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else ""


def _turns(request: JsonObject) -> Iterator[JsonObject]:
    if isinstance(request.get("instructions"), str):
        yield {"role": "system", "content": request["instructions"]}
    for name in ("messages", "input", "prompt"):
        said: Any = request.get(name)
        if isinstance(said, str):
            yield {"role": "user", "content": said}
        yield from _objects(said)


def _content(turn: JsonObject) -> str:
    content: Any = turn.get("content")
    if isinstance(content, str):
        return normalized(content)
    return " ".join(normalized(part["text"]) for part in _objects(content) if isinstance(part.get("text"), str))


def _objects(value: Any) -> list[JsonObject]:
    items = cast(list[Any], value) if isinstance(value, list) else []
    return [cast(JsonObject, item) for item in items if isinstance(item, dict)]
