"""``GET /v1/models``: the served alias, then the releases."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.gateway.champion import ALIAS
from loopwise.gateway.state import gateway_of
from loopwise.types import JsonObject, Release


async def models(request: Request) -> JSONResponse:
    snapshot = await gateway_of(request).served.now()
    champion = [_entry(ALIAS, snapshot.champion)] if snapshot.champion else []
    return JSONResponse(
        {"object": "list", "data": champion + [_entry(name, release) for name, release in snapshot.releases.items()]}
    )


def _entry(name: str, release: Release) -> JsonObject:
    return {
        "id": name,
        "object": "model",
        "created": int(release.at),
        "owned_by": "loopwise",
        "release": release.name,
        "state": release.state,
        "system_fingerprint": release.fingerprint,
    }
