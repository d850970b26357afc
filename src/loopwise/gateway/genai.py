"""Exchanges and feedback in the words of OpenTelemetry's GenAI semantic conventions: plain data, nothing is sent here.

Follows version 1.42.0-dev of open-telemetry/semantic-conventions-genai (all of it in development; client inference and
embeddings spans, ``gen_ai.evaluation.result``), with what its main branch has changed since. Names that begin with
``loopwise.`` are our own.

Without leave for text, nothing that a person or a model wrote is in the attributes: numbers, words from short lists,
and names without blanks (ids, releases, metrics) only. What callers send may be anything, so each value is checked; who
the end user is, metadata, and the sentences of errors are left out either way.

The ids of trace and span follow from the exchange's id, so that feedback finds the span of its exchange, however late.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from loopwise.gateway.spoken import said, told
from loopwise.gateway.traceparent import Parent
from loopwise.gateway.usage import usage_of
from loopwise.types import Exchange, Feedback, JsonObject

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

Value = str | bool | int | float | list[str] | list[float]
Attributes = dict[str, Value]

_OPERATIONS = {
    "chat.completions": "chat",
    "completions": "text_completion",
    "responses": "chat",
    "embeddings": "embeddings",
}
_API_TYPES = {"chat.completions": "chat_completions", "responses": "responses"}
_NUMBERS = {  # fields of a request → attributes
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
_WHOLE_NUMBERS = {
    "seed": "gen_ai.request.seed",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
_TOKEN_COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_NAME = re.compile(r"[\x21-\x7e]{1,256}")
_WORD = re.compile(r"[a-z_]{1,32}")
_LATEST_S = 2**33  # seconds since the epoch; OTLP counts nanoseconds in 64 bits


@dataclass(frozen=True)
class Server:
    """Where a model answers."""

    address: str
    port: int

    @classmethod
    def of(cls, url: str) -> Server:
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


@dataclass(frozen=True)
class Span:
    """A client span: times in nanoseconds since the epoch, ``error`` a sentence where there is leave for text."""

    name: str
    attributes: Attributes
    began_ns: int
    ended_ns: int
    trace_id: int
    span_id: int
    parent: Parent | None
    failed: bool
    error: str | None


@dataclass(frozen=True)
class Evaluation:
    """An event ``gen_ai.evaluation.result``; ``span_id`` 0 where no exchange is named."""

    attributes: Attributes
    at_ns: int
    trace_id: int
    span_id: int


def span_of(exchange: Exchange, recorded: bool, server: Server, parent: Parent | None, text: bool) -> Span:
    """The call of the model. ``parent`` is the caller's span, where it named one."""
    request, operation = exchange.request, _OPERATIONS[exchange.endpoint]
    failed = exchange.status >= 400
    attributes: Attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",  # the form of the API; who answers is told by server and model
        "loopwise.arm": exchange.arm,
        "loopwise.propensity": exchange.propensity,
        "loopwise.recorded": recorded,
        "loopwise.train": exchange.train,
        "http.response.status_code": exchange.status,
        "server.address": server.address,
        "server.port": server.port,
    }
    _add_names(
        attributes,
        {
            "gen_ai.request.model": exchange.model,
            "gen_ai.response.id": exchange.id,
            "gen_ai.response.model": exchange.release if exchange.response else None,
            "gen_ai.conversation.id": exchange.episode,
            "gen_ai.request.previous_response.id": request.get("previous_response_id"),
            "openai.api.type": _API_TYPES.get(exchange.endpoint),
            "loopwise.release": exchange.release,
            "loopwise.fingerprint": exchange.fingerprint,
        },
    )
    if failed:
        attributes["error.type"] = str(exchange.status)
    if exchange.first_token_s is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = exchange.first_token_s
    _add_parameters(attributes, request)
    _add_answer(attributes, exchange.response)
    if text:
        _add_text(attributes, exchange)
    began_ns = _ns(exchange.at)
    trace_id, span_id = ids_of(exchange.id)
    model = attributes.get("gen_ai.request.model")
    return Span(
        name=f"{operation} {model}" if model else operation,
        attributes=attributes,
        began_ns=began_ns,
        ended_ns=began_ns + max(0, int(exchange.latency_s * 1e9)),
        trace_id=parent.trace_id if parent else trace_id,
        span_id=span_id,
        parent=parent,
        failed=failed,
        error=_clean(exchange.error) if text and exchange.error else None,
    )


def evaluation_of(row: Feedback, trace_id: int | None, text: bool) -> Evaluation:
    """What somebody said of an answer. ``trace_id`` where it is known to be another than follows from the exchange."""
    derived = ids_of(row.exchange_id) if row.exchange_id else (0, 0)
    attributes: Attributes = {
        "gen_ai.evaluation.name": row.kind,
        "loopwise.feedback.kind": row.kind,
        "loopwise.feedback.source": row.source,
        "loopwise.feedback.choice": row.choice,
    }
    _add_names(
        attributes,
        {
            "gen_ai.evaluation.name": row.metadata.get("name") if row.kind == "metric" else None,
            "gen_ai.response.id": row.exchange_id,
            "gen_ai.conversation.id": row.episode_id,
            "loopwise.feedback.id": row.id,
            "loopwise.feedback.supersedes": row.supersedes,
        },
    )
    scored = isinstance(row.value, (int, float)) and row.kind in ("thumbs", "rating", "metric")
    if scored:
        attributes["gen_ai.evaluation.score.value"] = float(row.value)
    if row.kind == "thumbs":
        attributes["gen_ai.evaluation.score.label"] = "up" if row.value > 0 else "down"
    if row.kind == "rating" and (scale := _list(row.metadata.get("scale"))):
        attributes["loopwise.feedback.scale"] = [float(end) for end in scale]
    if text:
        if row.comment:
            attributes["gen_ai.evaluation.explanation"] = _clean(row.comment)
        if not scored and row.value is not None:
            value = row.value if isinstance(row.value, str) else json.dumps(row.value)
            attributes["loopwise.feedback.value"] = _clean(value)
    return Evaluation(attributes, _ns(row.at), derived[0] if trace_id is None else trace_id, derived[1])


def ids_of(exchange_id: str) -> tuple[int, int]:
    """The trace id of 128 bits and the span id of 64 that belong to an exchange."""
    digest = hashlib.sha256(exchange_id.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")


def _add_names(attributes: Attributes, names: Mapping[str, Any]) -> None:
    for key, value in names.items():
        if isinstance(value, str) and _NAME.fullmatch(value):
            attributes[key] = value


def _add_parameters(attributes: Attributes, request: JsonObject) -> None:
    for field, key in _NUMBERS.items():
        if type(request.get(field)) in (int, float):
            attributes[key] = float(request[field])
    for field, key in _WHOLE_NUMBERS.items():
        if _is_count(request.get(field)):
            attributes[key] = request[field]
    if _is_count(request.get("n")) and request["n"] != 1:
        attributes["gen_ai.request.choice.count"] = request["n"]
    if request.get("stream") is True:
        attributes["gen_ai.request.stream"] = True
    wanted = _object(request.get("response_format")) or _object(_object(request.get("text")).get("format"))
    if wanted.get("type") in ("json_object", "json_schema"):
        attributes["gen_ai.output.type"] = "json"
    elif wanted.get("type") == "text":
        attributes["gen_ai.output.type"] = "text"
    effort = request.get("reasoning_effort") or _object(request.get("reasoning")).get("effort")
    if isinstance(effort, str) and _WORD.fullmatch(effort):
        attributes["gen_ai.request.reasoning.level"] = effort


def _add_answer(attributes: Attributes, response: JsonObject | None) -> None:
    for count, key in zip(usage_of(response), _TOKEN_COUNTS.values(), strict=True):
        if count is not None:
            attributes[key] = count
    if response is None:
        return
    reasons = [_object(choice).get("finish_reason") for choice in _list(response.get("choices"))]
    reasons = reasons or [_object(response.get("incomplete_details")).get("reason") or response.get("status")]
    words = [reason for reason in reasons if isinstance(reason, str) and _WORD.fullmatch(reason)]
    if words:
        attributes["gen_ai.response.finish_reasons"] = words


def _add_text(attributes: Attributes, exchange: Exchange) -> None:
    if told_messages := told(exchange.request):
        attributes["gen_ai.input.messages"] = json.dumps(told_messages)
    if exchange.response and (said_messages := said(exchange.response)):
        attributes["gen_ai.output.messages"] = json.dumps(said_messages)
    instructions = exchange.request.get("instructions")
    if isinstance(instructions, str):
        attributes["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": instructions}])
    stop: Any = exchange.request.get("stop")
    stops = [word for word in ([stop] if isinstance(stop, str) else _list(stop)) if isinstance(word, str)]
    if stops:
        attributes["gen_ai.request.stop_sequences"] = [_clean(word) for word in stops]


def _object(value: Any) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _is_count(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _clean(text: str) -> str:
    """Half a surrogate pair is no UTF-8, and would cost the whole batch."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _ns(at_s: float) -> int:
    return int(at_s * 1e9) if 0 <= at_s < _LATEST_S else time.time_ns()
