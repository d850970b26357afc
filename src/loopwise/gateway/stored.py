"""Answers that the model's server keeps (``/v1/responses/ID`` and the like): passed on under the server's own id."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from loopwise.config import SERVED
from loopwise.gateway.errors import ApiError
from loopwise.gateway.jsontext import parsed, written
from loopwise.gateway.opinion import shown
from loopwise.gateway.state import gateway_of
from loopwise.gateway.upstream import Question, ask, failures, read_whole
from loopwise.types import JsonObject

# What OpenAI's clients may ask about an answer that the server keeps.
STORED = (
    ("/v1/responses/{id}", ["GET", "DELETE"]),
    ("/v1/responses/{id}/cancel", ["POST"]),
    ("/v1/responses/{id}/input_items", ["GET"]),
    ("/v1/chat/completions/{id}", ["GET", "POST", "DELETE"]),
    ("/v1/chat/completions/{id}/messages", ["GET"]),
)


async def stored_answer(request: Request) -> Response:
    """Asks the server that gave the answer; what comes back bears our id again. Not recorded: nothing was generated."""
    gateway = gateway_of(request)
    exchange_id: str = request.path_params["id"]
    model, theirs = await gateway.recorder.origin(exchange_id) or (None, "")
    snapshot = await gateway.served.now()
    ours = model == SERVED or model in snapshot.releases
    upstream = gateway.upstream if ours else gateway.aliases.get(model or "")
    if upstream is None or not theirs.strip("."):  # dots would be a path of their own
        raise ApiError(404, f"No server here keeps an answer {shown(exchange_id)}.", "id", "not_found")
    path = request.url.path.removeprefix("/v1/").replace(exchange_id, quote(theirs, safe=""), 1)
    query = f"?{request.url.query}" if request.url.query else ""
    question = Question(request.method, path + query, await request.body() or None, {})
    try:
        with failures(upstream):
            async with await ask(gateway.session, upstream, question) as response:
                content = await read_whole(upstream, response)
    except ApiError as error:
        error.message = error.message.replace(repr(theirs), repr(exchange_id))
        raise
    return Response(_renamed(content, theirs, exchange_id), media_type=response.content_type)


def _renamed(content: bytes, theirs: str, ours: str) -> bytes:
    """The answer under our id, and nothing else of it changed: the server's id may be a word of the text."""
    try:
        answer = parsed(content)
    except ValueError:
        return content
    if not isinstance(answer, dict) or cast(JsonObject, answer).get("id") != theirs:
        return content
    return written({**cast(JsonObject, answer), "id": ours})
