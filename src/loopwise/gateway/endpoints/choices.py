"""Answers made of choices (chat completions, completions): their shape, and a stream of them put together."""

from __future__ import annotations

import time
from typing import Any, cast

from loopwise.gateway.endpoints.endpoint import objects
from loopwise.types import JsonObject

_TOLD_ONCE = {"id", "type", "role", "name", "object", "finish_reason"}  # strings that do not come in pieces


def has_choices(answer: JsonObject) -> bool:
    return objects(answer.get("choices"))


def is_chunk(chunk: JsonObject) -> bool:
    """A chunk of choices; one of usage alone has none, or an empty list."""
    choices: Any = chunk.get("choices") or []
    return objects(choices) and all(
        isinstance(choice.get("index", 0), int) and isinstance(choice.get("delta") or {}, dict) for choice in choices
    )


def asked_for(request: JsonObject) -> int:
    """How many choices a request wants for each of its prompts."""
    n: Any = request.get("n")
    return n if type(n) is int and n > 0 else 1


class ChoicesAssembly:
    """Joins the chunks as OpenAI's clients do: text by text, tool calls by their index, lists by extension.

    Chat puts a choice's pieces under ``delta``, which becomes its ``message``; completions put them into the choice.
    It is complete when ``wanted`` choices are: servers send one after the other, too.
    """

    failure = None  # servers say it in an event of its own

    def __init__(self, kind: str, wanted: int) -> None:
        self._kind = kind
        self._wanted = wanted
        self._fields: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self.first_token_at: float | None = None

    def add(self, chunk: JsonObject) -> None:
        for key, value in chunk.items():
            if key != "choices" and value is not None:
                self._fields[key] = value
        choices: list[JsonObject] = chunk.get("choices") or []
        for choice in choices:
            found = self._choices.setdefault(choice.get("index", 0), {"finish_reason": None})
            if self.first_token_at is None and _has_token(choice):
                self.first_token_at = time.perf_counter()
            for key, value in choice.items():
                if key == "delta":
                    _merge(_message(found), value or {})
                elif key != "index":
                    _merge(found, {key: value})

    @property
    def complete(self) -> bool:
        ended = sum(bool(choice["finish_reason"]) for choice in self._choices.values())
        return ended == len(self._choices) >= self._wanted

    def response(self) -> JsonObject:
        choices = [{"index": index, **choice} for index, choice in sorted(self._choices.items())]
        return {**self._fields, "object": self._kind, "choices": choices}


def _message(choice: JsonObject) -> JsonObject:
    """The choice's message; in place of what a server may have sent under that name that is none."""
    found: Any = choice.get("message")
    if not isinstance(found, dict):
        found = choice["message"] = {}
    return cast(JsonObject, found)


def _has_token(choice: JsonObject) -> bool:
    delta: JsonObject = choice.get("delta") or {}
    return bool(choice.get("text")) or any(value for key, value in delta.items() if key != "role")


def _merge(into: JsonObject, delta: JsonObject) -> None:
    for key, value in delta.items():
        known = into.get(key)
        if value is None:
            into.setdefault(key, None)
        elif isinstance(value, str) and isinstance(known, str) and key not in _TOLD_ONCE:
            into[key] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            _merge(cast(JsonObject, known), cast(JsonObject, value))
        elif isinstance(value, list):
            into[key] = _merged_list(known, cast(list[Any], value))
        else:
            into[key] = value


def _merged_list(known: Any, added: list[Any]) -> list[Any]:
    merged: list[Any] = known if isinstance(known, list) else []  # pyright: ignore[reportUnknownVariableType]
    for item in added:
        place = _index(item)
        if place is None:  # log-probabilities, a row for each token: without a look at those that are there
            merged.append(item)
        elif same := [old for old in merged if _index(old) == place]:
            _merge(same[0], item)
        else:
            merged.append(item)
    return merged


def _index(item: Any) -> Any:
    return cast(JsonObject, item).get("index") if isinstance(item, dict) else None
