"""``GET /healthz``: the process answers. ``GET /readyz``: the store and the engine do, too."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from loopwise.gateway.access import caller_of
from loopwise.gateway.state import gateway_of


async def healthz(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """200 when both answer; 503 with a sentence for what does not. Without a key, and to browsers, the status alone."""
    checks = await gateway_of(request).readiness.checks()
    ready = all(check == "ok" for check in checks.values())
    caller = caller_of(request)
    details = {"checks": checks} if caller is not None and caller.role != "feedback" else {}
    return JSONResponse({"status": "ok" if ready else "not ready", **details}, 200 if ready else 503)
