"""``POST /v1/responses``: OpenAI's newer call, whose stream is a sequence of typed events."""

from __future__ import annotations

import time
from typing import Any, cast

from loopwise.gateway.endpoints.endpoint import Endpoint, objects, whole
from loopwise.gateway.errors import ApiError
from loopwise.types import JsonObject

LAST = {"response.completed", "response.failed", "response.incomplete"}

# Which field of an output item, or of one of its parts, an event's ``delta`` is a piece of.
_PIECES = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "text",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.mcp_call_arguments.delta": "arguments",
    "response.code_interpreter_call_code.delta": "code",
}

_MOST_PARTS = 1_000  # of one item: a server that counts wrong must not fill the memory


def _check(request: JsonObject) -> None:
    given: Any = request.get("input")
    if given is not None and not isinstance(given, str) and not objects(given):
        raise ApiError(400, "'input' must be a text, or a list of input items.", "input")
    previous = request.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise ApiError(400, f"'previous_response_id' must be a string; it was {previous!r}.", "previous_response_id")


def _has_output(answer: JsonObject) -> bool:
    return isinstance(answer.get("id"), str) and objects(answer.get("output"))


def _is_event(event: JsonObject) -> bool:
    return isinstance(event.get("type"), str) and isinstance(event.get("response", {}), dict)


class ResponseAssembly:
    """Keeps the last whole response that the server sent; of one that broke off, what its pieces amount to."""

    def __init__(self) -> None:
        self._response: JsonObject = {"object": "response"}
        self._items: dict[int, JsonObject] = {}
        self.first_token_at: float | None = None
        self.complete = False

    def add(self, chunk: JsonObject) -> None:
        kind: str = chunk["type"]
        if chunk.get("delta") and self.first_token_at is None:
            self.first_token_at = time.perf_counter()
        if "response" in chunk:
            self._response = chunk["response"]
            self.complete = kind in LAST
        place: Any = chunk.get("output_index")
        if isinstance(place, int):
            self._add_piece(kind, place, chunk)

    def _add_piece(self, kind: str, place: int, event: JsonObject) -> None:
        if kind in ("response.output_item.added", "response.output_item.done") and isinstance(event.get("item"), dict):
            self._items[place] = event["item"]
            return
        item = self._items.setdefault(place, {})
        if kind == "response.content_part.added" and isinstance(event.get("part"), dict):
            _part(item, event.get("content_index")).update(event["part"])
        elif kind in _PIECES and isinstance(event.get("delta"), str):
            target = _part(item, event["content_index"]) if "content_index" in event else item
            target[_PIECES[kind]] = str(target.get(_PIECES[kind]) or "") + event["delta"]

    @property
    def failure(self) -> str | None:
        error: Any = self._response.get("error")
        message: Any = cast(JsonObject, error).get("message") if isinstance(error, dict) else None
        return message if isinstance(message, str) else None

    def response(self) -> JsonObject:
        if self.complete or not self._items:
            return self._response
        return {**self._response, "output": [item for _, item in sorted(self._items.items())]}


def _part(item: JsonObject, place: Any) -> JsonObject:
    """The item's part at ``place``, made where the server announced none."""
    parts = cast(list[JsonObject], item["content"] if isinstance(item.get("content"), list) else [])
    item["content"] = parts
    wanted = min(place, _MOST_PARTS) if isinstance(place, int) and place >= 0 else 0
    while len(parts) <= wanted:
        parts.append({})
    return parts[wanted]


def _assembly(_: JsonObject) -> ResponseAssembly:
    return ResponseAssembly()


RESPONSES = Endpoint(
    name="responses",
    path="responses",
    check=_check,
    is_answer=_has_output,
    is_chunk=_is_event,
    assembly=_assembly,
    embedded=False,
    recorded=whole,
)
