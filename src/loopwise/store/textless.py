"""What is kept of a request and a response whose text must not be: an allow list, so that no unknown field leaks."""

from __future__ import annotations

from typing import Any, cast

from loopwise.types import JsonObject

_REQUEST_FIELDS = {
    "model", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "max_output_tokens", "seed", "stream",
    "store", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "user", "safety_identifier",
    "previous_response_id", "dimensions", "encoding_format",
}  # fmt: skip
_RESPONSE_FIELDS = {
    "id", "object", "created", "created_at", "model", "system_fingerprint", "usage", "status", "previous_response_id",
}  # fmt: skip


def textless_request(request: JsonObject) -> JsonObject:
    """Sampling parameters and names; of messages, the roles."""
    kept = {key: value for key, value in request.items() if key in _REQUEST_FIELDS}
    messages = request.get("messages")
    if isinstance(messages, list):
        kept["messages"] = [{"role": message["role"]} for message in cast(list[Any], messages)]
    return kept


def textless_response(response: JsonObject) -> JsonObject:
    """Ids, usage and how each choice ended."""
    kept = {key: value for key, value in response.items() if key in _RESPONSE_FIELDS}
    choices = response.get("choices")
    if isinstance(choices, list):
        kept["choices"] = [
            {"index": choice.get("index"), "finish_reason": choice.get("finish_reason")}
            for choice in cast(list[Any], choices)
        ]
    return kept
