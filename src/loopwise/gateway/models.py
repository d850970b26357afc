"""``GET /v1/models`` and ``/v1/models/ID``: the served alias, the releases, then further models by alias."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.config import SERVED
from loopwise.gateway.errors import ApiError
from loopwise.gateway.state import gateway_of
from loopwise.types import JsonObject, Release


async def models(request: Request) -> JSONResponse:
    return JSONResponse({"object": "list", "data": await _entries(request)})


async def model(request: Request) -> JSONResponse:
    """One of them. Raises ApiError 404."""
    name: str = request.path_params["id"]
    found = [entry for entry in await _entries(request) if entry["id"] == name]
    if not found:
        raise ApiError(404, f"There is no model {name!r}: GET /v1/models lists them.", "model", "model_not_found")
    return JSONResponse(found[0])


async def _entries(request: Request) -> list[JsonObject]:
    gateway = gateway_of(request)
    snapshot = await gateway.served.now()
    entries = [_entry(SERVED, snapshot.champion)] if snapshot.champion else []
    entries += [_entry(name, release) for name, release in snapshot.releases.items()]
    return entries + [_passed_on(alias, upstream.model) for alias, upstream in gateway.aliases.items()]


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
