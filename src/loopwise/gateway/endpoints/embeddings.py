"""``POST /v1/embeddings``."""

from __future__ import annotations

from typing import Any

from loopwise.gateway.endpoints.endpoint import Endpoint, objects
from loopwise.gateway.errors import ApiError
from loopwise.types import JsonObject


def _check(request: JsonObject) -> None:
    given: Any = request.get("input")
    if not isinstance(given, str | list) or not given:
        raise ApiError(400, "'input' must be a text, or a list of texts or of token ids.", "input")


def _has_data(answer: JsonObject) -> bool:
    return objects(answer.get("data"))


def _never(_: JsonObject) -> bool:
    return False


def without_vectors(answer: JsonObject) -> JsonObject:
    """The record of an answer: a vector follows from input and model, and would fill the store."""
    return {**answer, "data": [{key: row[key] for key in ("object", "index") if key in row} for row in answer["data"]]}


EMBEDDINGS = Endpoint(
    name="embeddings",
    path="embeddings",
    check=_check,
    is_answer=_has_data,
    is_chunk=_never,
    assembly=None,
    embedded=False,
    recorded=without_vectors,
)
