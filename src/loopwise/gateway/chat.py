"""``POST /v1/chat/completions``: passes the request on, records the exchange, then completes the answer."""

from __future__ import annotations

import json
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from loopwise.gateway.body import read_json
from loopwise.gateway.call import Call, parse_call
from loopwise.gateway.errors import ApiError, error_response
from loopwise.gateway.hangup import ClientGoneError, unless_gone
from loopwise.gateway.record import Outcome, recorded_header
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.gateway.stream import open_stream
from loopwise.gateway.upstream import Upstream, ask, broken, failures, proved_fingerprint
from loopwise.types import JsonObject

CLIENT_GONE = 499  # nginx's number for a client that hung up


async def chat(request: Request) -> Response:
    """OpenAI's chat completions. The answer's ``id`` is the exchange's."""
    gateway = gateway_of(request)
    body = await read_json(request)
    snapshot = await gateway.served.now()
    call = parse_call(body, request.headers, snapshot, gateway.upstream, gateway.pseudonym_key)
    work = open_stream(gateway, call) if call.streams else _answer(gateway, call)
    try:
        return await unless_gone(request.receive, work)
    except ClientGoneError:
        await gateway.recorder.record(call, Outcome(CLIENT_GONE, error="the client hung up before the answer"))
        return Response(status_code=CLIENT_GONE)
    except ApiError as error:
        recorded = await gateway.recorder.record(call, Outcome(error.status, error=error.message))
        return error_response(error, recorded_header(recorded))


async def _answer(gateway: Gateway, call: Call) -> Response:
    upstream = gateway.upstream
    with failures(upstream):
        async with await ask(gateway.session, upstream, call.forwarded) as response:
            content = await response.read()
    answer = _parsed(content, upstream)
    fingerprint = proved_fingerprint(upstream, call.release, answer.get("system_fingerprint"), answer.get("model"))
    answer |= {"id": call.id, "model": call.model, "system_fingerprint": fingerprint}
    recorded = await gateway.recorder.record(call, Outcome(200, answer, fingerprint))
    return Response(json.dumps(answer), media_type="application/json", headers=recorded_header(recorded))


def _parsed(content: bytes, upstream: Upstream) -> JsonObject:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise broken(upstream, "answered with something that is not JSON") from error
    choices = cast(JsonObject, answer).get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in cast(list[Any], choices)):
        raise broken(upstream, "answered with JSON that is no chat completion")
    return cast(JsonObject, answer)
