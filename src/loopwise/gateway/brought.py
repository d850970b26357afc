"""``POST /v1/exchanges``: brings in what another gateway served, so that Loopwise can stand beside what exists.

A brought-in exchange has the arm ``external`` (nobody drew it), the release ``external:MODEL`` and the fingerprint
``upstream:CLAIM``: whatever is said of its weights is only said. Its id is the team's own, so that feedback that names
the team's own message id finds it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.errors import ForgottenError
from loopwise.gateway.body import read_json
from loopwise.gateway.endpoints import ENDPOINTS, Endpoint
from loopwise.gateway.errors import ApiError
from loopwise.gateway.feedback import listed
from loopwise.gateway.identity import new_id, pseudonym
from loopwise.gateway.opinion import STRICT, At, Line, Name, gone, refused, seconds, shown, told
from loopwise.gateway.state import gateway_of
from loopwise.store import Store, exchanges
from loopwise.store.textless import textless_request, textless_response
from loopwise.types import Exchange, JsonObject

_ENDPOINTS = {endpoint.name: endpoint for endpoint in ENDPOINTS}
_Seconds = Annotated[float, Field(ge=0, le=1e9)]


class BroughtExchange(BaseModel):
    """What was asked, as ``request`` (the body) or ``messages``; and what was answered, as ``response`` (OpenAI's
    object), ``choices`` or ``content``, unless there was an ``error``. ``model`` may stand in the request."""

    model_config = STRICT
    id: Name | None = None
    at: At | None = None
    model: Name | None = None
    endpoint: Literal["chat.completions", "completions", "responses", "embeddings"] = "chat.completions"
    request: dict[str, Any] | None = None
    messages: list[dict[str, Any]] | None = None
    response: dict[str, Any] | None = None
    choices: list[dict[str, Any]] | None = None
    content: str | None = None
    user: Name | None = None
    episode_id: Name | None = None
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    latency_s: _Seconds = 0.0
    first_token_s: _Seconds | None = None
    usage: dict[str, Any] | None = None
    error: Line | None = None
    train: bool = True
    store: bool = True
    metadata: dict[str, Any] = {}


async def bring(request: Request) -> JSONResponse:
    """One object or a list, taken whole or not at all: ``{ids, known}``, where ``known`` are those of the ids that were
    stored before and are left as they were. What new ones show of use is kept as if they had been served here."""
    gateway = gateway_of(request)
    body = await read_json(request, gateway.settings.body_mb)
    key = gateway.pseudonym_key
    if isinstance(body, dict):
        rows = [parse_brought(body, "", key)]
    else:
        rows = [parse_brought(row, f"[{place}]", key) for place, row in enumerate(listed(body, "exchange"))]
    ids = [row.id for row in rows]
    known = await asyncio.to_thread(_known, gateway.store, ids)
    try:
        await gateway.writer.write(rows)
    except ForgottenError as error:
        raise gone(error, ids, "id", "Exchange") from error
    return JSONResponse({"ids": ids, "known": [id for id in ids if id in known]})


def _known(store: Store, ids: list[str]) -> set[str]:
    with store.reading() as conn:
        return exchanges.known(conn, ids)


def parse_brought(row: Any, place: str, pseudonym_key: bytes | None) -> Exchange:
    """An Exchange of one row; ``place`` is ``""``, or ``"[3]"`` within a list.

    Raises ApiError 400 with a sentence that says what was expected."""
    try:
        found = BroughtExchange.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise _refused(place, field, f"{field or 'the row'}: {told(first)}; it was {shown(first['input'])}.") from error
    endpoint = _ENDPOINTS[found.endpoint]
    request = _request(found, endpoint, place)
    response = _response(found, endpoint, place)
    model = found.model or request["model"]
    user = found.user or request.get("user") or request.get("safety_identifier")
    for field in ("user", "safety_identifier"):
        if field in request:
            request[field] = pseudonym(request[field], pseudonym_key)
    exchange_id = found.id or new_id("ex")
    store = found.store and request.get("store", True)
    answer = response or {}
    status = found.status or (500 if found.error is not None else 200)
    upstream_id = answer.get("id")
    if response is not None:
        response = {**response, "id": exchange_id}
    return Exchange(
        id=exchange_id,
        at=time.time() if found.at is None else seconds(found.at),
        model=model,
        release=f"external:{model}",
        fingerprint=f"upstream:{answer.get('system_fingerprint') or answer.get('model') or model}",
        arm="external",
        propensity=1.0,
        request=request if store else textless_request(request),
        response=response if store or response is None else textless_response(response),
        status=status,
        latency_s=found.latency_s,
        first_token_s=found.first_token_s,
        user=pseudonym(user, pseudonym_key) if user else None,
        episode=found.episode_id or request.get("metadata", {}).get("episode_id"),
        train=found.train and store,
        error=found.error if store or found.error is None else f"status {status}",
        endpoint=endpoint.name,
        store=store,
        upstream_id=upstream_id if isinstance(upstream_id, str) and upstream_id not in ("", exchange_id) else None,
    )


def _request(found: BroughtExchange, endpoint: Endpoint, place: str) -> JsonObject:
    """The body that was sent, with the fields checked that are read later; null counts as absent."""
    if (found.request is None) == (found.messages is None):
        raise _refused(place, "request", "say what was asked: 'request' (the body that was sent), or 'messages'.")
    request: JsonObject = {**(found.request if found.request is not None else {"messages": found.messages})}
    for field, kind in (("user", str), ("safety_identifier", str), ("metadata", dict), ("store", bool), ("model", str)):
        if request.get(field, ...) is None:
            del request[field]
        elif field in request and not isinstance(request[field], kind):
            raise _refused(place, f"request.{field}", f"request.{field} is of a wrong type: {shown(request[field])}.")
    if found.model is None and not request.get("model"):
        raise _refused(place, "model", "say which model answered: 'model'.")
    try:
        endpoint.check(request)
    except ApiError as error:
        raise _refused(place, error.param or "request", error.message) from error
    request.setdefault("model", found.model)
    if found.metadata:
        request["metadata"] = {**request.get("metadata", {}), **found.metadata}
    names = [request[field] for field in ("user", "safety_identifier") if field in request]
    names += [request["metadata"]["episode_id"]] if "episode_id" in request.get("metadata", {}) else []
    for name in [*names, request["model"]]:
        if not isinstance(name, str) or not 0 < len(name) <= 512 or "\0" in name:
            raise _refused(
                place, "request", f"a model, user or episode is a text of 1 to 512 characters, not {shown(name)}."
            )
    return request


def _response(found: BroughtExchange, endpoint: Endpoint, place: str) -> JsonObject | None:
    given = [value for value in (found.response, found.choices, found.content) if value is not None]
    if len(given) > 1:
        raise _refused(place, "response", "say once what was answered: 'response', 'choices' or 'content'.")
    if not given:
        if found.error is None and (found.status is None or found.status < 400):
            sentence = (
                "say what was answered: 'response', 'choices' or 'content'; or the 'error', or a 'status' of 400 up."
            )
            raise _refused(place, "response", sentence)
        return None
    response = {"id": "", **(found.response if found.response is not None else _answer(found, endpoint, place))}
    if not endpoint.is_answer(response) or not all(map(_has_message, _chat_choices(response, endpoint))):
        raise _refused(place, "response", f"the response is no answer of the endpoint {endpoint.name!r}.")
    response = endpoint.recorded(response)
    return response if found.usage is None else {**response, "usage": found.usage}


def _answer(found: BroughtExchange, endpoint: Endpoint, place: str) -> JsonObject:
    """OpenAI's object around ``choices`` or ``content``."""
    text = found.content
    if endpoint.name == "chat.completions":
        whole = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"object": "chat.completion", "choices": found.choices if text is None else [whole]}
    if endpoint.name == "completions":
        whole = {"index": 0, "text": text, "finish_reason": "stop"}
        return {"object": "text_completion", "choices": found.choices if text is None else [whole]}
    if endpoint.name == "responses" and text is not None:
        part: JsonObject = {"type": "output_text", "text": text, "annotations": []}
        message: JsonObject = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
        return {"object": "response", "status": "completed", "output": [message]}
    raise _refused(place, "response", f"an answer of the endpoint {endpoint.name!r} is given as 'response'.")


def _chat_choices(response: JsonObject, endpoint: Endpoint) -> list[JsonObject]:
    return cast(list[JsonObject], response["choices"]) if endpoint.name == "chat.completions" else []


def _has_message(choice: JsonObject) -> bool:
    return isinstance(choice.get("message"), dict)


def _refused(place: str, field: str, sentence: str) -> ApiError:
    return refused(place, field, sentence, what="Exchange")
