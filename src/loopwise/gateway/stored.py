"""Answers that the model's server keeps (``/v1/responses/ID`` and the like): passed on under the server's own id."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from loopwise.gateway.errors import ApiError
from loopwise.gateway.state import gateway_of
from loopwise.gateway.upstream import Question, ask, failures, read_whole

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
    found = await gateway.recorder.origin(exchange_id)
    if found is None:
        raise ApiError(404, f"There is no answer {exchange_id!r} here.", "id", "not_found")
    model, theirs = found
    upstream = gateway.aliases.get(model, gateway.upstream)
    path = request.url.path.removeprefix("/v1/").replace(exchange_id, quote(theirs, safe=""), 1)
    query = f"?{request.url.query}" if request.url.query else ""
    question = Question(request.method, path + query, await request.body() or None, {})
    try:
        with failures(upstream):
            async with await ask(gateway.session, upstream, question) as response:
                content = await read_whole(upstream, response)
    except ApiError as error:
        error.message = error.message.replace(theirs, exchange_id)
        raise
    return Response(content.replace(theirs.encode(), exchange_id.encode()), media_type=response.content_type)
