"""Calls that a web page makes in somebody's browser: from our own page, and from the origins that the settings name.

The part of Fetch's CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol) that an API needs: no credentials
of the browser's own, so a listed page can do nothing without a key that it was given.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Message, Send

from loopwise.gateway.errors import ApiError

_READABLE = b"x-loopwise-exchange, x-loopwise-recorded, retry-after, " + (
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)
_PREFLIGHT_S = "7200"  # browsers ask again after that at the latest (Chromium's bound)


class Origins:
    """The origins of which pages may call, e.g. ``https://app.example``."""

    def __init__(self, listed: Sequence[str]):
        self._listed = {origin.rstrip("/").lower().encode() for origin in listed}

    def check(self, origin: bytes, host: bytes) -> None:
        """Raises ApiError 403 for a page that is neither ours (``host`` is what it was reached by) nor listed."""
        if origin and origin.partition(b"://")[2] != host and origin.lower() not in self._listed:
            shown = origin.decode("latin-1")
            raise ApiError(
                403,
                f"Pages of the origin {shown!r} may not call this gateway: add it to [gateway] origins in "
                "loopwise.toml, or call from the page's own server.",
                code="origin_not_allowed",
            )

    def preflight(self, origin: bytes, wanted_headers: bytes) -> Response | None:
        """What the browser is told before a listed page's call; None when the page is not listed.

        Any header may be sent: clients add their own (``x-stainless-…``), and none gives a page a right.
        """
        if origin.lower() not in self._listed:
            return None
        allowed = {
            "access-control-allow-methods": "GET, POST, DELETE",
            "access-control-allow-headers": wanted_headers.decode("latin-1"),
            "access-control-max-age": _PREFLIGHT_S,
        }
        return Response(status_code=204, headers=allowed)

    def answering(self, origin: bytes, send: Send) -> Send:
        """``send`` with the headers that let a listed page read the answer; unchanged where no origin is listed."""
        if not self._listed:
            return send
        added = [(b"vary", b"Origin")]
        if origin.lower() in self._listed:
            added += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _READABLE)]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return send_with_headers
