"""The caller's span, as W3C's Trace Context (level 1) names it in the header ``traceparent``."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Parent:
    """``sampled`` False: the caller's tracing keeps nothing of this trace."""

    trace_id: int
    span_id: int
    sampled: bool


_calling: ContextVar[Parent | None] = ContextVar("calling", default=None)


def calling() -> Parent | None:
    """Who calls, within a request that passed ``TraceParent``."""
    return _calling.get()


def parsed(header: str | None) -> Parent | None:
    """None for a header that is missing or malformed, which the specification wants ignored."""
    found = _FORM.fullmatch(header) if header else None
    if found is None or (found[0].startswith("00") and found[4]):  # only later versions may go on
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    return Parent(trace_id, span_id, bool(int(found[3], 16) & 1)) if trace_id and span_id else None


class TraceParent:
    """ASGI middleware: remembers for the length of a request who calls."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _calling.set(parsed(Headers(scope=scope).get("traceparent")))
        await self._app(scope, receive, send)
