"""Request bodies: read up to a limit, parsed strictly as UTF-8 JSON."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from loopwise.gateway.errors import ApiError

LIMIT_BYTES = 1_000_000


async def read_json(request: Request) -> Any:
    """The JSON value of the body. Raises ApiError: 413 over 1 MB, 400 for what is no JSON."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LIMIT_BYTES:
            raise ApiError(413, "The request body is over 1 MB: send less at once.", code="body_too_large")
    try:
        return _parsed(bytes(content))
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The request body is not JSON in UTF-8 ({error}): send a JSON document.") from error


def _parsed(content: bytes) -> Any:
    value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    if b"\\ud" in content or b"\\uD" in content:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text: nothing can store it
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
