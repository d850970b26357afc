"""``POST /v1/chat/completions``."""

from __future__ import annotations

from loopwise.gateway.endpoints.choices import ChoicesAssembly, asked_for, has_choices, is_chunk
from loopwise.gateway.endpoints.endpoint import Endpoint, checked_messages, whole
from loopwise.types import JsonObject


def _check(request: JsonObject) -> None:
    checked_messages(request.get("messages"), "messages")


def _assembly(request: JsonObject) -> ChoicesAssembly:
    return ChoicesAssembly("chat.completion", asked_for(request))


CHAT = Endpoint(
    name="chat.completions",
    path="chat/completions",
    check=_check,
    is_answer=has_choices,
    is_chunk=is_chunk,
    assembly=_assembly,
    embedded=True,
    recorded=whole,
)
