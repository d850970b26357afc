"""Server-sent events: read from a stream of bytes, and a stream of chat chunks put together to one answer.

The format is WHATWG's (HTML, section 9.2), of which only ``data`` is used here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, cast

from loopwise.types import JsonObject

DONE = b"[DONE]"
LONGEST_EVENT_BYTES = 4_000_000

_KEPT = {"id", "type", "role", "name", "object"}  # strings that are told once, not in pieces


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event, however the bytes were cut. Raises ValueError when an event has no end in sight."""
    buffer = b""
    async for piece in pieces:
        buffer = (buffer + piece).replace(b"\r\n", b"\n")
        *whole, buffer = buffer.split(b"\n\n")
        for event in whole:
            if data := _data(event):
                yield data
        if len(buffer) > LONGEST_EVENT_BYTES:
            raise ValueError(f"an event of over {LONGEST_EVENT_BYTES} bytes")


def _data(event: bytes) -> bytes:
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


class Assembly:
    """Puts the chunks of a streamed answer together to the object that an unstreamed answer would be."""

    def __init__(self) -> None:
        self._fields: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self.first_token_at: float | None = None  # on the monotonic clock

    def add(self, chunk: JsonObject) -> None:
        """Takes a chunk whose ``choices`` are objects with an object ``delta``."""
        self._fields |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        choices: list[JsonObject] = chunk.get("choices") or []
        for choice in choices:
            found = self._choices.setdefault(choice.get("index", 0), {"message": {}, "finish_reason": None})
            delta: JsonObject = choice.get("delta") or {}
            if self.first_token_at is None and any(value for key, value in delta.items() if key != "role"):
                self.first_token_at = time.perf_counter()
            _merge(found["message"], delta)
            rest = {key: value for key, value in choice.items() if key not in ("delta", "index")}
            _merge(found, rest)

    @property
    def complete(self) -> bool:
        """Every choice that began has ended: what counts where a server leaves out ``[DONE]``."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def response(self) -> JsonObject:
        choices = [{"index": index, **choice} for index, choice in sorted(self._choices.items())]
        return {**self._fields, "object": "chat.completion", "choices": choices}


def _merge(into: JsonObject, delta: JsonObject) -> None:
    """Adds a delta as OpenAI's clients do: text is joined, lists are extended or merged by their items' index."""
    for key, value in delta.items():
        known = into.get(key)
        if value is None:
            into.setdefault(key, None)
        elif isinstance(value, str) and isinstance(known, str) and key not in _KEPT and key != "finish_reason":
            into[key] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            _merge(cast(JsonObject, known), cast(JsonObject, value))
        elif isinstance(value, list):
            into[key] = _merged_list(cast(list[Any], known or []), cast(list[Any], value))
        else:
            into[key] = value


def _merged_list(known: list[Any], added: list[Any]) -> list[Any]:
    for item in added:
        place = _index(item)
        same = [old for old in known if place is not None and _index(old) == place]
        if same:
            _merge(same[0], item)
        else:
            known.append(item)
    return known


def _index(item: Any) -> Any:
    return cast(JsonObject, item).get("index") if isinstance(item, dict) else None
