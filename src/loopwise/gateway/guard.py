"""Until there are API keys, being on this machine is the only credential: refuses what a web page elsewhere sends.

A page that somebody opens could otherwise post feedback to 127.0.0.1 (a cross-site request needs no permission when it
is simple), or read the API under a name of its own that it lets point here (DNS rebinding).
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from loopwise.gateway.errors import ApiError, error_response

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class LoopbackGuard:
    """ASGI middleware: 403 unless ``Host`` names loopback and ``Origin``, where there is one, is the same."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            if _name(host) not in LOOPBACK or (origin is not None and origin.partition("://")[2] != host):
                sentence = f"Loopwise answers programs on this machine only, not Host {host!r} with Origin {origin!r}: "
                refused = ApiError(403, sentence + "call http://127.0.0.1 or http://localhost directly.")
                await error_response(refused)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """``host`` without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
