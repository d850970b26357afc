"""``GET /healthz``: the process answers. ``GET /readyz``: the store and the engine do, too."""

from __future__ import annotations

import asyncio

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.engine.openai import endpoint, unreachable
from loopwise.errors import StoreError
from loopwise.gateway.access import caller_of
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.store import releases

_PATIENCE = aiohttp.ClientTimeout(total=2.0)


async def healthz(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """200 when both answer; 503 with a sentence for what does not. Without a key, and to browsers, the status alone."""
    gateway = gateway_of(request)
    checks = {"store": await asyncio.to_thread(_store, gateway), "engine": await _engine(gateway)}
    ready = all(check == "ok" for check in checks.values())
    caller = caller_of(request)
    details = {"checks": checks} if caller is not None and caller.role != "feedback" else {}
    return JSONResponse({"status": "ok" if ready else "not ready", **details}, 200 if ready else 503)


def _store(gateway: Gateway) -> str:
    try:
        with gateway.store.reading() as conn:
            champion = releases.champion(conn)
    except StoreError as error:
        return str(error)
    return "ok" if champion else "There is no champion yet: run 'loopwise promote RELEASE'."


async def _engine(gateway: Gateway) -> str:
    url, headers = gateway.upstream.url, gateway.upstream.headers
    try:
        async with gateway.session.get(
            endpoint(url, "models"), headers=headers, timeout=_PATIENCE, allow_redirects=False
        ) as response:
            status = response.status
    except TimeoutError:
        return f"The model's server at {url} did not answer within {_PATIENCE.total:g} s."
    except aiohttp.ClientError as error:
        return unreachable(url, error)
    return "ok" if status == 200 else f"The model's server at {url} answered GET /v1/models with status {status}."
