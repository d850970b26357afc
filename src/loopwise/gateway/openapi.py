"""``GET /openapi.json``: the API of the contract in OpenAPI 3.1.

The schemas of feedback and of what is brought in are those of the models that parse them. Two rules stand in
descriptions alone, since JSON Schema has no words for them: a rating lies within its scale, and a preference names two
different ones of a kind. The page's own routes are not part of the API.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from loopwise.gateway.brought import BroughtExchange
from loopwise.gateway.endpoints import ENDPOINTS, Endpoint
from loopwise.gateway.feedback import MOST_ROWS
from loopwise.gateway.opinion import Opinion
from loopwise.gateway.shapes import answer_schema, nullable, request_schema
from loopwise.gateway.stored import STORED
from loopwise.gateway.tensorzero import TensorZeroFeedback
from loopwise.types import JsonObject

_RECORDED: JsonObject = {
    "x-loopwise-recorded": {
        "description": "Whether the exchange is on disk; on a stream, whether the store works as it begins.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    }
}
_EXCHANGE: JsonObject = {
    "x-loopwise-exchange": {"description": "The id of the exchange.", "schema": {"type": "string"}},
}
_RETRY_AFTER: JsonObject = {"retry-after": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
_ID: JsonObject = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_REFUSALS = {
    400: "The request is malformed.",
    401: "The API key is missing, not valid, or revoked.",
    403: "The key's role may not do that, or without keys the caller is not on this machine.",
    404: "There is no such model or answer.",
    413: "The body is too large.",
    429: "The key asks too often, or too much at once.",
    503: "The store, the model or the gateway cannot take it now.",
}
_UPSTREAM = {
    "4XX": "The model's server refused, with its own status and words.",
    "5XX": "The model's server failed, with its own status and words; 501 where it has no such call, 502 where it "
    "broke, 504 where it was too slow.",
}
_GONE = {"410": "An exchange that it names went with a forgotten person; the code is `forgotten`."}
_STRINGS: JsonObject = {"type": "array", "items": {"type": "string"}}


async def openapi(_: Request) -> Response:
    return Response(_content(), media_type="application/json")


@cache
def _content() -> bytes:
    return json.dumps(document()).encode()


def document() -> JsonObject:
    """The whole document."""
    models: list[Any] = [(model, "validation") for model in (Opinion, BroughtExchange, TensorZeroFeedback)]
    _, told = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas: JsonObject = {**told["$defs"], "Error": _error_schema()}
    schemas["Feedback"] = {"allOf": [{"$ref": "#/components/schemas/Opinion"}, _names_one("exchange_id", "episode_id")]}
    for endpoint in ENDPOINTS:
        schemas[f"{endpoint.name}.request"] = request_schema(endpoint.name)
        schemas[f"{endpoint.name}.answer"] = answer_schema(endpoint.name)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Loopwise",
            "version": version("loopwise"),
            "description": "OpenAI's API in front of any model: every exchange is recorded, every feedback is taken.",
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": {
            **{f"/v1/{endpoint.path}": {"post": _model_call(endpoint)} for endpoint in ENDPOINTS},
            **_stored_paths(),
            **_model_paths(),
            **_feedback_paths(),
            **_other_paths(),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `loopwise keys`. None is needed on this machine while there is no key.",
                },
                "basic": {"type": "http", "scheme": "basic", "description": "The key as the password; for browsers."},
            },
        },
    }


def _model_call(endpoint: Endpoint) -> JsonObject:
    answer = _json(_ref(f"{endpoint.name}.answer"))
    if endpoint.assembly is not None:
        answer |= {"text/event-stream": {}}
    ok = {
        "description": "The answer, or with `stream` its events.",
        "content": answer,
        "headers": {**_RECORDED, **_EXCHANGE},
    }
    headers = [
        ("X-Loopwise-Episode", "The episode that this is part of.", {"type": "string", "maxLength": 512}),
        ("X-Loopwise-Train", "false keeps it out of training.", {"type": "string", "enum": ["true", "false"]}),
    ]
    return {
        **_operation(f"OpenAI's {endpoint.path}", {200: ok}, _UPSTREAM, _ref(f"{endpoint.name}.request")),
        "parameters": [
            {"name": name, "in": "header", "description": description, "schema": schema}
            for name, description, schema in headers
        ],
    }


def _stored_paths() -> JsonObject:
    paths: JsonObject = {}
    answer = {"description": "As the model's server says, under our id.", "content": _json({})}
    for path, methods in STORED:
        operations = {
            method.lower(): _operation("An answer that is kept", {200: answer}, _UPSTREAM) for method in methods
        }
        paths[path] = {**operations, "parameters": [_ID]}
    return paths


def _feedback_paths() -> JsonObject:
    ids = {"type": "object", "required": ["ids"], "properties": {"ids": _STRINGS}}
    kept = {200: _said("On disk.", ids), 202: _said("On disk; an exchange that it names is not known yet.", ids)}
    brought = {
        "type": "object",
        "required": ["ids", "known"],
        "properties": {"ids": _STRINGS, "known": {**_STRINGS, "description": "Those that were stored before."}},
    }
    uuid = {"type": "string", "format": "uuid"}
    told = {"type": "object", "required": ["feedback_id"], "properties": {"feedback_id": uuid}}
    one = {
        "allOf": [_ref("TensorZeroFeedback"), _names_one("inference_id", "episode_id")],
        "description": "Either inference_id or episode_id.",
    }
    return {
        "/v1/feedback": {"post": _operation("What is said of answers", kept, _GONE, _one_or_many("Feedback"))},
        "/v1/exchanges": {
            "post": _operation(
                "Brings in what another gateway served",
                {200: _said("On disk.", brought)},
                _GONE,
                _one_or_many("BroughtExchange"),
            )
        },
        "/feedback": {
            "post": _operation(
                "Feedback in TensorZero's shape",
                {200: _said("On disk.", told), 202: _said("On disk; its exchange is not known yet.", told)},
                _GONE,
                one,
            )
        },
    }


def _other_paths() -> JsonObject:
    status = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    ready = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["ok", "not ready"]},
            "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    readiness = _operation("Readiness", {200: _said("The store and the engine answer.", ready)})
    readiness["responses"]["503"] = _said("Something does not.", ready)
    text = {"schema": {"type": "string"}}
    exposition = {"description": "Text.", "content": {"text/plain": text, "application/openmetrics-text": text}}
    return {
        "/healthz": {"get": _operation("Liveness", {200: _said("The process answers.", status)})},
        "/readyz": {"get": readiness},
        "/metrics": {"get": _operation("Prometheus' metrics", {200: exposition})},
        "/openapi.json": {"get": _operation("This document", {200: _said("OpenAPI 3.1.", {"type": "object"})})},
    }


def _model_paths() -> JsonObject:
    entry: JsonObject = {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        },
    }
    entries: JsonObject = {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": entry}},
    }
    every = _operation("The served model, the releases, further models", {200: _said("OpenAI's list.", entries)})
    one = _operation("One of them", {200: _said("OpenAI's entry.", entry)})
    return {"/v1/models": {"get": every}, "/v1/models/{id}": {"get": one, "parameters": [_ID]}}


def _operation(
    summary: str, answers: dict[int, JsonObject], failures: dict[str, str] | None = None, body: JsonObject | None = None
) -> JsonObject:
    """An operation with the refusals that each has; ``failures`` None where there is nothing but its answers."""
    refusals = {str(status): _failed(text) for status, text in _REFUSALS.items()}
    others = {status: _failed(text) for status, text in (failures or {}).items()}
    told: JsonObject = {
        "summary": summary,
        "responses": {**{str(status): answer for status, answer in answers.items()}, **refusals, **others},
    }
    return told if body is None else {**told, "requestBody": {"required": True, "content": _json(body)}}


def _said(description: str, schema: JsonObject) -> JsonObject:
    return {"description": description, "content": _json(schema)}


def _failed(description: str) -> JsonObject:
    headers = {**_RECORDED, **_EXCHANGE, **_RETRY_AFTER}
    return {"description": description, "content": _json(_ref("Error")), "headers": headers}


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_or_many(name: str) -> JsonObject:
    return {"anyOf": [_ref(name), {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": MOST_ROWS}]}


def _names_one(*fields: str) -> JsonObject:
    """That one of the fields is there, and not null."""
    return {"anyOf": [{"required": [field], "properties": {field: {"type": "string"}}} for field in fields]}


def _error_schema() -> JsonObject:
    """OpenAI's form of an error."""
    told = {
        "message": {"type": "string", "description": "What is wrong, which value, and the way out."},
        "type": {"type": "string"},
        "param": nullable({"type": "string", "description": "The field that is wrong."}),
        "code": nullable({"type": "string", "description": "For programs."}),
    }
    error = {"type": "object", "required": list(told), "properties": told}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
