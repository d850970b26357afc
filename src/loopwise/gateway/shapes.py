"""JSON schemas of OpenAI's calls as the gateway reads them: what it checks is told, and all else travels untouched.

So a request may hold any field of OpenAI's API, its older and its later versions, and of servers that know more.
"""

from __future__ import annotations

from typing import Any

from loopwise.types import Endpoint, JsonObject

NAME: JsonObject = {"type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[^\\u0000]*$"}


def nullable(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}


def _objects(required: dict[str, Any], **more: Any) -> JsonObject:
    """A list of objects that may hold more than what they must."""
    item = {"type": "object", "required": list(required), "properties": required}
    return {"type": "array", "items": item, **more}


_PASSED_ON: JsonObject = {
    "model": {"type": "string", "description": "`loopwise` for the model that serves, or another of /v1/models."},
    "stream": nullable({"type": "boolean"}),
    "store": nullable({"type": "boolean", "description": "false: no text is kept, and nothing of it is trained on."}),
    "user": nullable({**NAME, "description": "The end user; kept and passed on as a pseudonym."}),
    "safety_identifier": nullable(NAME),
    "metadata": nullable(
        {
            "type": "object",
            "properties": {
                "episode_id": nullable({**NAME, "description": "The episode, where no header names it; not passed on."})
            },
        }
    ),
}

_TEXTS: JsonObject = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}]}
_ITEMS: JsonObject = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}

# For each endpoint: what a request has besides, which of it it must have, and what an answer must have besides.
_OWN: dict[Endpoint, tuple[JsonObject, list[str], JsonObject]] = {
    "chat.completions": (
        {"messages": _objects({"role": {"type": "string"}}, minItems=1)},
        ["messages"],
        {"choices": _objects({})},
    ),
    "completions": (
        {
            "prompt": {
                "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}],
                "description": "A text, or a list of texts or of token ids.",
            }
        },
        ["prompt"],
        {"choices": _objects({})},
    ),
    "responses": (
        {"input": nullable(_ITEMS), "previous_response_id": nullable({"type": "string"})},
        [],
        {"output": _objects({})},
    ),
    "embeddings": ({"input": _TEXTS}, ["input"], {"data": _objects({})}),
}


def request_schema(endpoint: Endpoint) -> JsonObject:
    """A request's body."""
    own, required, _ = _OWN[endpoint]
    return {"type": "object", "required": ["model", *required], "properties": {**_PASSED_ON, **own}}


def answer_schema(endpoint: Endpoint) -> JsonObject:
    """An answer that is not a stream."""
    own = _OWN[endpoint][2]
    told: JsonObject = {
        "id": {"type": "string", "description": "The id of the exchange, which feedback names."},
        "model": {"type": "string", "description": "The model as it was asked for."},
        "system_fingerprint": {
            "type": "string",
            "description": "The weights that answered: `sha256:…` proved, `probe:…` probed, `upstream:…` only claimed.",
        },
    }
    if endpoint == "embeddings":  # OpenAI's have none; the header x-loopwise-exchange tells it
        del told["id"]
    return {"type": "object", "required": [*told, *own], "properties": {**told, **own}}
