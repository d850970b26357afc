"""``POST /v1/completions``: text to be continued, without roles."""

from __future__ import annotations

from typing import Any, cast

from loopwise.gateway.endpoints.choices import ChoicesAssembly, asked_for, has_choices, is_chunk
from loopwise.gateway.endpoints.endpoint import Endpoint, whole
from loopwise.gateway.errors import ApiError
from loopwise.types import JsonObject


def _check(request: JsonObject) -> None:
    prompt: Any = request.get("prompt")
    if not isinstance(prompt, str) and not (isinstance(prompt, list) and cast(list[Any], prompt)):
        raise ApiError(400, "'prompt' must be a text, or a list of texts or of token ids.", "prompt")


def _assembly(request: JsonObject) -> ChoicesAssembly:
    prompt: Any = request["prompt"]
    of_ids = not isinstance(prompt, list) or isinstance(prompt[0], int)
    return ChoicesAssembly("text_completion", asked_for(request) * (1 if of_ids else len(cast(list[Any], prompt))))


COMPLETIONS = Endpoint(
    name="completions",
    path="completions",
    check=_check,
    is_answer=has_choices,
    is_chunk=is_chunk,
    assembly=_assembly,
    embedded=True,
    recorded=whole,
)
