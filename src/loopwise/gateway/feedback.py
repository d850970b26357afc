"""``POST /v1/feedback``: what people say about an exchange or an episode, on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from loopwise.errors import ForgottenError
from loopwise.gateway.access import caller_of
from loopwise.gateway.body import read_json
from loopwise.gateway.errors import ApiError
from loopwise.gateway.opinion import gone, parse_opinion
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.store import Store, exchanges
from loopwise.types import Feedback, JsonObject

MOST_ROWS = 1_000


async def feedback(request: Request) -> Response:
    """One object or a list, taken whole or not at all. 202 where an exchange is not known yet: it is joined later."""
    gateway = gateway_of(request)
    body = await read_json(request, gateway.settings.body_mb)
    key, operator = gateway.pseudonym_key, is_operator(request)
    if isinstance(body, dict):
        rows = [parse_opinion(body, "", key, operator)]
    else:
        rows = [parse_opinion(row, f"[{place}]", key, operator) for place, row in enumerate(listed(body, "feedback"))]
    all_known = await kept(gateway, rows)
    ids = json.dumps({"ids": [row.id for row in rows]})
    return Response(ids, 200 if all_known else 202, media_type="application/json")


def listed(body: Any, what: str) -> list[Any]:
    """The rows of a body that is a list. Raises ApiError 400 for another body, an empty or a too long list."""
    if not isinstance(body, list):
        raise ApiError(400, f"The request body must be one {what} object, or a list of them.")
    rows = cast(list[Any], body)
    if not 0 < len(rows) <= MOST_ROWS:
        raise ApiError(400, f"A list holds 1 to {MOST_ROWS} {what} objects; this one holds {len(rows)}: split it.")
    return rows


def is_operator(request: Request) -> bool:
    """Whether the caller may speak for judges and verifiers."""
    caller = caller_of(request)
    return caller is not None and caller.role == "operator"


async def kept(gateway: Gateway, rows: Sequence[Feedback]) -> bool:
    """Puts ``rows`` on disk; whether the store has every exchange that they name.

    Raises ApiError 400 for a choice that a known answer does not have and 410 for an exchange that went with a
    forgotten person, StoreError when nothing was kept.
    """
    # the answers are read for these rows alone: every answer has a choice 0
    beyond = {place: row for place, row in enumerate(rows) if (row.choice or row.kind == "preference") and _index(row)}
    if beyond:
        choices = await asyncio.to_thread(_choices, gateway.store, {str(row.exchange_id) for row in beyond.values()})
        for place, row in beyond.items():
            _check_choice(row, f"[{place}]" if len(rows) > 1 else "", choices)
    try:
        known = await gateway.writer.write(rows)
    except ForgottenError as error:
        raise gone(error, [row.exchange_id for row in rows], "exchange_id") from error
    for observer in gateway.observers:
        observer.opined(rows)
    return all(row.exchange_id in known for row in rows if row.exchange_id)


def _index(row: Feedback) -> int:
    """The highest index of a choice of one answer that a feedback names."""
    if row.exchange_id is None:
        return 0
    pair: JsonObject = row.value if row.kind == "preference" else {}
    return max(row.choice, *(index for index in pair.values() if isinstance(index, int)), 0)


def _choices(store: Store, ids: set[str]) -> dict[str, int]:
    """How many choices those answers have that are known and have a list of them."""
    with store.reading() as conn:
        found = [exchanges.get(conn, exchange_id) for exchange_id in ids]
    lists = {exchange.id: (exchange.response or {}).get("choices") for exchange in found if exchange is not None}
    return {exchange_id: len(cast(list[Any], each)) for exchange_id, each in lists.items() if isinstance(each, list)}


def _check_choice(row: Feedback, place: str, choices: Mapping[str, int]) -> None:
    """An answer that is not known yet may have any choice: what is said of one that never was means nothing later."""
    count, choice = choices.get(str(row.exchange_id)), _index(row)
    if count is not None and choice >= count:
        where = f"Feedback {place}: " if place else ""
        sentence = f"{where}the answer {row.exchange_id!r} has {count} choice(s), counted from 0: there is no {choice}."
        raise ApiError(400, sentence, f"{place}.choice" if place else "choice")
