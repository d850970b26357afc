"""``POST /feedback`` in the shape of TensorZero's gateway, so that an app that moves over keeps its feedback calls.

| TensorZero | here |
|---|---|
| a boolean metric | kind ``metric``, value 1.0 or 0.0, ``{"name", "boolean": true}`` in the metadata |
| a float metric | kind ``metric``, ``{"name"}`` in the metadata |
| ``comment`` | kind ``comment`` |
| ``demonstration`` | kind ``correction``: a text, a list of text blocks (joined), or a JSON object (as its text) |
| ``inference_id``, ``episode_id`` | ``exchange_id``, ``episode_id``: any id, not only UUIDs |
| ``tags`` | ``metadata.tags``; the tag ``user_id`` becomes the pseudonymised user and is not kept |
| ``dryrun`` | is checked, and nothing is written |
| ``internal`` | is taken and means nothing |

Not mapped: metrics need not be configured, so no name, type or level is unknown; an id that is not known is not refused
but answered with 202 and joined later; a demonstration with tool calls is refused, since a correction is a text; errors
have OpenAI's form. See https://www.tensorzero.com/docs/gateway/api-reference/feedback.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.gateway.body import read_json
from loopwise.gateway.errors import ApiError
from loopwise.gateway.feedback import kept
from loopwise.gateway.opinion import STRICT, Name, parse_opinion, refused, shown, told
from loopwise.gateway.state import gateway_of
from loopwise.types import JsonObject


class TensorZeroFeedback(BaseModel):
    """One feedback as TensorZero's clients send it."""

    model_config = STRICT
    metric_name: Name
    value: Any
    inference_id: Name | None = None
    episode_id: Name | None = None
    tags: dict[str, str] = {}
    dryrun: bool | None = None
    internal: bool = False


async def tensorzero_feedback(request: Request) -> JSONResponse:
    """Answers ``{"feedback_id"}``, a UUID of version 7; 202 where the exchange is not known yet."""
    gateway = gateway_of(request)
    found = _parsed(await read_json(request, gateway.settings.body_mb))
    feedback_id = str(_uuid7())
    row = parse_opinion({"id": feedback_id, **_opinion(found)}, "", gateway.pseudonym_key)
    all_known = bool(found.dryrun) or await kept(gateway, [row])
    return JSONResponse({"feedback_id": feedback_id}, 200 if all_known else 202)


def _parsed(body: Any) -> TensorZeroFeedback:
    try:
        found = TensorZeroFeedback.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the request body"
        raise ApiError(400, f"{name}: {told(first)}; it was {shown(first['input'])}.", name) from error
    if (found.inference_id is None) == (found.episode_id is None):
        raise refused("", "inference_id", "give either inference_id or episode_id, and not both.")
    if found.metric_name == "demonstration" and found.inference_id is None:
        raise refused("", "inference_id", "a demonstration is of one answer: give its inference_id.")
    return found


def _opinion(found: TensorZeroFeedback) -> JsonObject:
    """The same feedback in the shape of ``/v1/feedback``."""
    tags = {name: value for name, value in found.tags.items() if name != "user_id"}
    return {
        **_said(found),
        "exchange_id": found.inference_id,
        "episode_id": found.episode_id,
        "user": found.tags.get("user_id") or None,
        "metadata": ({"boolean": True} if isinstance(found.value, bool) else {}) | ({"tags": tags} if tags else {}),
    }


def _said(found: TensorZeroFeedback) -> JsonObject:
    name, value = found.metric_name, found.value
    if name == "comment":
        if not isinstance(value, str) or not value:
            raise refused("", "value", f"a comment takes a text as value; it was {shown(value)}.")
        return {"kind": "comment", "value": value}
    if name == "demonstration":
        return {"kind": "correction", "value": _demonstration(value)}
    if not isinstance(value, bool | int | float):
        raise refused(
            "", "value", f"the metric {name!r} takes true, false or a number as value; it was {shown(value)}."
        )
    return {"kind": "metric", "value": float(value) if isinstance(value, bool) else value, "name": name}


def _demonstration(value: Any) -> str:
    """The text of a demonstration."""
    if isinstance(value, dict) and value:
        return json.dumps(value, ensure_ascii=False)
    blocks = cast(list[Any], value if isinstance(value, list) else [{"type": "text", "text": value}])
    texts = [_text(block) for block in blocks]
    if not any(texts):
        raise refused("", "value", "a demonstration takes the right answer as value, and it is empty.")
    return "\n".join(texts)


def _text(block: Any) -> str:
    given = cast(JsonObject, block) if isinstance(block, dict) else {}
    if given.get("type") != "text" or not isinstance(given.get("text"), str):
        sentence = "a demonstration takes a text, a JSON object, or a list of {type: 'text', text} blocks as value; "
        raise refused("", "value", f"{sentence}tool calls are not taken. It held {shown(block)}.")
    return given["text"]


def _uuid7() -> uuid.UUID:
    """A UUID that sorts by time (RFC 9562)."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
