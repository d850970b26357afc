"""What was said in an exchange: the conversation that led to its answers, and the answers.

JSON of other people's programs comes in here, so that shapes are checked here and nowhere after. What no row can hold
is passed on as it is (content that is no text) or as a message of a role that no conversation has; the step
``unusable`` drops it with the reason, and counts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from loopwise.types import Exchange, JsonObject, Message

_TEXTS = ("text", "input_text", "output_text", "refusal")  # types of parts that hold text


@dataclass(frozen=True)
class Answer:
    """What the model answered: text, which is empty where it only calls tools, and the calls."""

    text: str
    tool_calls: tuple[JsonObject, ...] = ()


@dataclass(frozen=True)
class Spoken:
    messages: tuple[Message, ...]
    answers: dict[int, Answer]  # by the index of the choice
    tools: tuple[JsonObject, ...]
    segment: str


def spoken(exchange: Exchange) -> Spoken | None:
    """None for an exchange that is kept out of training, did not succeed, or has no answer."""
    if not exchange.train or exchange.status != 200 or exchange.response is None:
        return None
    request, response = exchange.request, exchange.response
    metadata: Any = request.get("metadata")
    segment: Any = cast(JsonObject, metadata).get("segment") if isinstance(metadata, dict) else None
    kept = segment if isinstance(segment, str) else ""
    if exchange.endpoint == "chat.completions":
        messages = tuple(map(_message, _objects(request.get("messages"))))
        return Spoken(messages, _choices(response), tuple(_objects(request.get("tools"))), kept)
    if exchange.endpoint == "responses":
        answers = {0: _output(_objects(response.get("output")))}
        tools = [_nested(tool) for tool in _objects(request.get("tools"))]
        return Spoken(tuple(_input(request)), answers, tuple(tools), kept)
    if exchange.endpoint == "completions":
        texts = {i: Answer(str(choice.get("text", ""))) for i, choice in _indexed(response)}
        return Spoken(({"role": "completions", "content": ""},), texts, (), kept)
    return None


def _choices(response: JsonObject) -> dict[int, Answer]:
    found: dict[int, Answer] = {}
    for i, choice in _indexed(response):
        message: Any = choice.get("message")
        if isinstance(message, dict):
            told = _message(cast(JsonObject, message))
            text = told["content"] if isinstance(told["content"], str) else ""
            found[i] = Answer(text, tuple(told.get("tool_calls", ())))
    return found


def _indexed(response: JsonObject) -> Iterator[tuple[int, JsonObject]]:
    for place, choice in enumerate(_objects(response.get("choices"))):
        yield choice.get("index", place), choice


def _message(message: JsonObject) -> JsonObject:
    """Role and content, and of what else a message may hold the name, the tool calls and the id of one."""
    told: JsonObject = {"role": str(message.get("role")), "content": joined(message.get("content"))}
    told |= {key: message[key] for key in ("name", "tool_call_id") if isinstance(message.get(key), str)}
    calls = _objects(message.get("tool_calls"))
    if calls:
        told["content"] = told["content"] or ""
        told["tool_calls"] = [_call(call) for call in calls]
        if not all(call["function"]["name"] for call in told["tool_calls"]):
            told["content"] = None  # a call of another type than a function's
    return told


def _call(call: JsonObject) -> JsonObject:
    function: Any = call.get("function")
    given = cast(JsonObject, function) if isinstance(function, dict) else {}
    arguments: Any = given.get("arguments", "")
    return {
        "id": str(call.get("id", "")),
        "type": "function",
        "function": {
            "name": str(given.get("name", "")),
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
        },
    }


def joined(content: Any) -> Any:
    """Text parts as one text, a line each; anything else as it is, so that it is seen to be no text."""
    if not isinstance(content, list):
        return content
    parts = cast("list[Any]", content)
    texts = [_text(part) for part in parts]
    return "\n".join(cast("list[str]", texts)) if all(isinstance(text, str) for text in texts) else parts


def _text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    fields = cast(JsonObject, part) if isinstance(part, dict) else {}
    kind: Any = fields.get("type")
    text: Any = fields.get("refusal" if kind == "refusal" else "text")
    return text if kind in _TEXTS and isinstance(text, str) else None


def _input(request: JsonObject) -> Iterator[JsonObject]:
    """The messages of a request to ``/v1/responses``. What came before ``previous_response_id`` is not here."""
    if request.get("previous_response_id") is not None:
        yield {"role": "previous_response_id", "content": ""}
    if isinstance(request.get("instructions"), str):
        yield {"role": "system", "content": request["instructions"]}
    if isinstance(request.get("input"), str):
        yield {"role": "user", "content": request["input"]}
    for item in _objects(request.get("input")):
        kind: Any = item.get("type", "message")
        if kind == "message":
            yield _message(item)
        elif kind == "function_call":
            yield {"role": "assistant", "content": "", "tool_calls": [_called(item)]}
        elif kind == "function_call_output":
            yield {"role": "tool", "content": joined(item.get("output")), "tool_call_id": str(item.get("call_id"))}
        elif kind != "reasoning":  # the model's own, and no part of what later turns are told
            yield {"role": str(kind), "content": ""}


def _output(items: Sequence[JsonObject]) -> Answer:
    texts = [joined(item.get("content")) for item in items if item.get("type") == "message"]
    calls = tuple(_called(item) for item in items if item.get("type") == "function_call")
    return Answer("\n".join(text for text in texts if isinstance(text, str)), calls)


def _called(item: JsonObject) -> JsonObject:
    return _call({"id": item.get("call_id", ""), "function": item})


def _nested(tool: JsonObject) -> JsonObject:
    """A tool in the flat form of ``/v1/responses``, in the form of chats."""
    if tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": {key: value for key, value in tool.items() if key != "type"}}


def _objects(value: Any) -> list[JsonObject]:
    """The objects in a list; nothing for what is no list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast(JsonObject, item) for item in items if isinstance(item, dict)]
