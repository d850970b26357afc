"""The text of an exchange as the GenAI conventions' messages: ``[{"role", "parts": [{"type", …}]}]``.

Reads the forms of chat completions, completions, responses and embeddings. Parts that have no form of their own in the
conventions (images, audio, server tools) are kept under their own type, as they came.
"""

from __future__ import annotations

from typing import Any, cast

from loopwise.types import JsonObject

_TEXT_TYPES = {"text", "input_text", "output_text", "refusal", "summary_text"}


def told(request: JsonObject) -> list[JsonObject]:
    """What the model was given."""
    given: Any = request.get("messages", request.get("input", request.get("prompt")))
    if isinstance(given, str):
        return [_message("user", [_text(given)])]
    return [_turn(item) for item in _list(given)]


def said(response: JsonObject) -> list[JsonObject]:
    """What the model answered, a message for each choice."""
    choices = [_object(choice) for choice in _list(response.get("choices"))]
    if choices:
        return [
            _turn(choice["message"], "assistant")
            if isinstance(choice.get("message"), dict)
            else _message("assistant", _parts(choice.get("text")))
            for choice in choices
        ]
    return [_turn(item, "assistant") for item in _list(response.get("output"))]


def _turn(item: Any, role: str = "user") -> JsonObject:
    """A chat message, an item of the responses API, or a bare text or list of token ids."""
    if not isinstance(item, dict):
        return _message(role, _parts(item))
    turn = cast(JsonObject, item)
    kind = turn.get("type")
    if kind == "function_call":
        return _message("assistant", [_call(turn.get("call_id"), turn)])
    if kind == "function_call_output":
        return _message("tool", [_returned(turn.get("call_id"), turn.get("output"))])
    if kind is not None and "content" not in turn:
        return _message(str(turn.get("role", role)), [turn])
    if turn.get("role") == "tool":
        return _message("tool", [_returned(turn.get("tool_call_id"), turn.get("content"))])
    parts = _parts(turn.get("reasoning_content"), "reasoning") + _parts(turn.get("content"))
    parts += _parts(turn.get("refusal"))
    calls = [_object(call) for call in _list(turn.get("tool_calls"))]
    parts += [_call(call.get("id"), _object(call.get("function"))) for call in calls]
    return _message(str(turn.get("role", role)), parts)


def _parts(content: Any, kind: str = "text") -> list[JsonObject]:
    if content is None:
        return []
    if isinstance(content, list):
        return [_part(part) for part in cast(list[Any], content)]
    return [{"type": kind, "content": content if isinstance(content, str) else str(content)}]


def _part(part: Any) -> JsonObject:
    found = _object(part)
    if found.get("type") in _TEXT_TYPES:
        return _text(str(found.get("text", found.get("refusal", ""))))
    return {"type": "unknown", **found} if found else _text(str(part))


def _text(content: str) -> JsonObject:
    return {"type": "text", "content": content}


def _call(call_id: Any, function: JsonObject) -> JsonObject:
    return {"type": "tool_call", "id": call_id, "name": function.get("name"), "arguments": function.get("arguments")}


def _returned(call_id: Any, response: Any) -> JsonObject:
    return {"type": "tool_call_response", "id": call_id, "response": response}


def _message(role: str, parts: list[JsonObject]) -> JsonObject:
    return {"role": role, "parts": parts}


def _object(value: Any) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []
