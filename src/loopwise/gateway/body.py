"""Request bodies: read up to a limit, parsed strictly as UTF-8 JSON that is not nested without end."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from loopwise.gateway.errors import ApiError
from loopwise.gateway.jsontext import is_deeper, parsed

MOST_LEVELS = 100


async def read_json(request: Request, limit_mb: float) -> Any:
    """The JSON value of the body. Raises ApiError: 413 over the limit, 400 for what is no JSON or nests too deeply."""
    limit = int(limit_mb * 1_000_000)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            sentence = f"The request body is over {limit_mb:g} MB: send less at once, or raise [gateway] body_mb."
            raise ApiError(413, sentence, code="body_too_large")
        pieces.append(piece)
    try:
        return _shallow(b"".join(pieces))
    except ValueError as error:
        raise ApiError(400, f"The request body is not JSON in UTF-8 ({error}): send a JSON document.") from error


def _shallow(content: bytes) -> Any:
    value = parsed(content)
    if content.count(b"[") + content.count(b"{") > MOST_LEVELS and is_deeper(value, MOST_LEVELS):
        raise ValueError(f"it is nested over {MOST_LEVELS} levels deep")
    return value
