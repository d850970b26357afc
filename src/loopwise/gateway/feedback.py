"""``POST /v1/feedback``: what people say about an exchange or an episode, on disk before it is acknowledged."""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.gateway.body import read_json
from loopwise.gateway.errors import ApiError
from loopwise.gateway.opinion import parse_opinion
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.types import Feedback

MOST_ROWS = 1_000


async def feedback(request: Request) -> JSONResponse:
    """One object or a list, taken whole or not at all. 202 where an exchange is not known yet: it is joined later."""
    gateway = gateway_of(request)
    body = await read_json(request)
    rows = [parse_opinion(body, "", gateway.pseudonym_key)] if isinstance(body, dict) else _parsed_list(body, gateway)
    known = await gateway.writer.write(rows)
    all_known = all(row.exchange_id in known for row in rows if row.exchange_id)
    return JSONResponse({"ids": [row.id for row in rows]}, 200 if all_known else 202)


def _parsed_list(body: Any, gateway: Gateway) -> list[Feedback]:
    if not isinstance(body, list):
        raise ApiError(400, "The request body must be one feedback object, or a list of them.")
    rows = cast(list[Any], body)
    if not 0 < len(rows) <= MOST_ROWS:
        raise ApiError(400, f"A list holds 1 to {MOST_ROWS} feedback objects; this one holds {len(rows)}: split it.")
    return [parse_opinion(row, f"[{index}]", gateway.pseudonym_key) for index, row in enumerate(rows)]
