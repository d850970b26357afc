"""``POST /v1/chat/completions`` and its siblings: passes the request on, records the exchange, completes the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from loopwise.engine.openai import refused
from loopwise.gateway.body import read_json
from loopwise.gateway.call import Call, Routes, parse_call
from loopwise.gateway.endpoints import EMBEDDINGS, Endpoint
from loopwise.gateway.errors import CLIENT_GONE, ApiError, error_response
from loopwise.gateway.hangup import ClientGoneError, unless_gone
from loopwise.gateway.jsontext import heard, written
from loopwise.gateway.record import STOPPED, Outcome, exchange_headers
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.gateway.stream import open_stream
from loopwise.gateway.upstream import Question, Upstream, ask, broken, failures, read_whole
from loopwise.types import JsonObject


def answering(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The route of one of OpenAI's calls. The answer's ``id`` is the exchange's."""
    return partial(_answered, endpoint)


async def _answered(endpoint: Endpoint, request: Request) -> Response:
    gateway = gateway_of(request)
    body = await read_json(request, gateway.settings.body_mb)
    snapshot = await gateway.served.now()
    routes = Routes(gateway.upstream, gateway.aliases, snapshot)
    call = parse_call(endpoint, body, request.headers, routes, gateway.pseudonym_key)
    call = await _with_upstream_id(call, gateway)
    work = open_stream(gateway, call) if call.streams else _whole(gateway, call)
    try:
        response, outcome = await unless_gone(request.receive, work)
    except ClientGoneError:
        outcome = Outcome(CLIENT_GONE, error="the client hung up before the answer")
        response = Response(status_code=CLIENT_GONE)
    except ApiError as error:
        outcome = Outcome(error.status, error=error.message)
        response = error_response(error)
    except asyncio.CancelledError:  # uvicorn's farewell is over
        gateway.recorder.hand_over(call, STOPPED)
        stopped = ApiError(503, "The gateway was stopped: ask again.", code="stopped", headers={"retry-after": "1"})
        return error_response(stopped)
    if outcome is None:  # a stream, which records itself when it ends
        return response
    recorded = await gateway.recorder.record(call, outcome)
    if not recorded and gateway.recorder.refuses and outcome.status < 400:
        response = error_response(gateway.recorder.refusal())
    response.raw_headers += exchange_headers(call, recorded)
    return response


async def _with_upstream_id(call: Call, gateway: Gateway) -> Call:
    """The call with the name that its server gave to the earlier answer it goes on from."""
    previous = call.forwarded.get("previous_response_id")
    if not isinstance(previous, str):
        return call
    _, theirs = await gateway.recorder.origin(previous) or ("", previous)
    return replace(call, forwarded={**call.forwarded, "previous_response_id": theirs})


async def _whole(gateway: Gateway, call: Call) -> tuple[Response, Outcome]:
    upstream = call.target.upstream
    question = Question("POST", call.endpoint.path, written(call.forwarded), call.headers)
    with failures(upstream):
        async with await ask(gateway.session, upstream, question) as response:
            content = await read_whole(upstream, response)
    answer = _answer_of(content, call, upstream)
    upstream_id = answer["id"] if isinstance(answer.get("id"), str) else None
    claim = answer.get("system_fingerprint")
    fingerprint = call.target.fingerprint(claim, answer.get("model"))
    answer |= {"model": call.model, "system_fingerprint": fingerprint}
    if call.endpoint is not EMBEDDINGS:  # which have no id
        answer["id"] = call.id
    if "previous_response_id" in answer:
        answer["previous_response_id"] = call.request.get("previous_response_id")
    failure: Any = answer.get("error")  # of a response whose making failed
    error = str(cast(JsonObject, failure).get("message")) if isinstance(failure, dict) else None
    outcome = Outcome(200, call.endpoint.recorded(answer), fingerprint, error=error, upstream_id=upstream_id)
    return Response(written(answer), media_type="application/json"), outcome


def _answer_of(content: bytes, call: Call, upstream: Upstream) -> JsonObject:
    try:
        answer = heard(content)
    except ValueError as error:
        raise broken(upstream, "answered with something that is not JSON") from error
    if isinstance(answer, dict) and call.endpoint.is_answer(cast(JsonObject, answer)):
        return cast(JsonObject, answer)
    told = refused(upstream.without_key(content))
    if told is not None:  # some servers refuse with status 200
        code = told.code if isinstance(told.code, str) else "upstream_refused"
        raise ApiError(502, f"The model's server refused: {told.message}", told.param, code, told.type)
    raise broken(upstream, f"answered with JSON that is no answer to /v1/{call.endpoint.path}")
