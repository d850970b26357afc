"""``GET /v1/models``: the served alias, the releases, then further models by alias."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.config import SERVED
from loopwise.gateway.state import gateway_of
from loopwise.types import JsonObject, Release


async def models(request: Request) -> JSONResponse:
    gateway = gateway_of(request)
    snapshot = await gateway.served.now()
    entries = [_entry(SERVED, snapshot.champion)] if snapshot.champion else []
    entries += [_entry(name, release) for name, release in snapshot.releases.items()]
    entries += [_passed_on(alias, upstream.model) for alias, upstream in gateway.aliases.items()]
    return JSONResponse({"object": "list", "data": entries})


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


def _passed_on(alias: str, model: str) -> JsonObject:
    """A model that is not ours: passed on and recorded, never trained."""
    return {"id": alias, "object": "model", "created": 0, "owned_by": "upstream", "root": model}
