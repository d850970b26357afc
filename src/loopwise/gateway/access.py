"""Who may call what.

Without API keys, being on this machine is the only credential. A page that somebody opens could otherwise post feedback
to 127.0.0.1 (a cross-site request needs no permission when it is simple), or read the API under a name of its own that
it lets point here (DNS rebinding): so ``Host`` must then name loopback. As soon as there is a key, every request needs
one, and ``Host`` is free. Web pages of other origins may call only where ``[gateway] origins`` names them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwise.gateway.errors import ApiError, error_response
from loopwise.gateway.keyring import Keyring
from loopwise.gateway.limits import Account, Limits
from loopwise.gateway.origins import Origins
from loopwise.store.keys import ApiKey, Role

_APP: frozenset[Role] = frozenset({"operator", "app"})
_ANY: frozenset[Role] = frozenset({"operator", "app", "feedback"})

# What a path that is one of these, or lies below it, takes. Everything else is for operators: the page, its files,
# /metrics, and whatever is added and forgotten here.
ALLOWED: tuple[tuple[str, str, frozenset[Role]], ...] = (
    ("GET POST DELETE", "/v1/chat/completions", _APP),
    ("POST", "/v1/completions", _APP),
    ("GET POST DELETE", "/v1/responses", _APP),
    ("POST", "/v1/embeddings", _APP),
    ("GET", "/v1/models", _APP),
    ("GET", "/openapi.json", _ANY),
    ("POST", "/v1/exchanges", _APP),
    ("POST", "/v1/feedback", _ANY),
    ("POST", "/feedback", _ANY),
)
_OPERATOR: frozenset[Role] = frozenset({"operator"})
_OPEN = {"/healthz", "/readyz"}  # a prober has no key; readyz tells the details only to callers
_UNCOUNTED = {"/healthz", "/readyz", "/metrics"}  # an overloaded gateway must still say that it is one
_LOOPBACK = {b"localhost", b"127.0.0.1", b"[::1]"}
_SCOPE_KEY = "loopwise.caller"
_EXACT = {(method, path): roles for methods, path, roles in ALLOWED for method in methods.split()} | {
    ("GET", path): _ANY for path in _OPEN
}  # the same, for one look-up instead of a search


@dataclass(frozen=True)
class Caller:
    """Whose request it is. Without API keys, who is on this machine is an operator with no key."""

    key_id: str | None
    role: Role


_HERE = Caller(None, "operator")


def caller_of(request: Request) -> Caller | None:
    """Who calls; None only at ``/healthz`` and ``/readyz``, which need no key."""
    return request.scope[_SCOPE_KEY]


class _Said(NamedTuple):
    """The headers that decide, empty where there are none."""

    host: bytes
    origin: bytes
    authorization: bytes


class Access:
    """ASGI middleware: lets a request through with ``caller_of`` set, or answers it: 401, 403, 429, 503."""

    def __init__(self, app: ASGIApp, keyring: Keyring, limits: Limits, origins: Sequence[str]):
        self._app = app
        self._keyring = keyring
        self._limits = limits
        self._origins = Origins(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = _said(scope)
        send = self._origins.answering(said.origin, send)
        if self._keyring.stale:
            await self._keyring.refresh()
        try:
            if scope["method"] == "OPTIONS" and await self._preflight(said, scope, receive, send):
                return
            key = self._admitted(said, scope)
            counted = scope["path"] not in _UNCOUNTED
            account = self._limits.enter(key) if counted else None
        except ApiError as refused:
            await error_response(refused, {"x-loopwise-recorded": "false"})(scope, receive, send)
            return
        try:
            await self._app(scope, receive, self._telling(account, send))
        except ClientDisconnect:
            pass  # it went away before its request was whole: nobody is left to answer
        finally:
            if counted:
                self._limits.leave(account)

    def _admitted(self, said: _Said, scope: Scope) -> ApiKey | None:
        """The caller's key, None where there are no keys. Puts the caller into ``scope``. Raises ApiError."""
        locked, path = self._keyring.locked, scope["path"]
        scope[_SCOPE_KEY] = None if locked else _HERE
        if not locked and _without_port(said.host) not in _LOOPBACK:
            raise _elsewhere(said.host)
        if locked and path in _OPEN and not said.authorization:
            return None
        self._origins.check(said.origin, said.host)
        if not locked or path == "/healthz":
            return None
        key = self._keyring.find(_key_text(said.authorization))
        if key is None:
            raise _unknown_caller(scope, said.authorization)
        if key.role not in roles_for(scope["method"], path):
            sentence = f"The key {key.id} has the role {key.role!r}, which may not {scope['method']} {path}: "
            raise ApiError(403, sentence + "use one that may; 'loopwise keys' lists them.", code="role_not_allowed")
        scope[_SCOPE_KEY] = Caller(key.id, key.role)
        return key

    async def _preflight(self, said: _Said, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answers what a browser asks before it calls for a listed page; it never brings a key."""
        asked = dict(scope["headers"])
        if b"access-control-request-method" not in asked:
            return False
        allowed = self._origins.preflight(said.origin, asked.get(b"access-control-request-headers", b""))
        if allowed is None:
            return False
        await allowed(scope, receive, send)
        return True

    def _telling(self, account: Account | None, send: Send) -> Send:
        """``send`` with what is left of the key's requests in the answer's headers."""
        if account is None or account.bucket is None:
            return send

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                left = [(name.encode(), value.encode()) for name, value in self._limits.headers(account).items()]
                message["headers"] = [*message["headers"], *left]
            await send(message)

        return send_with_headers


def roles_for(method: str, path: str) -> frozenset[Role]:
    """Whom ``ALLOWED`` lets do that."""
    known = _EXACT.get((method, path))
    if known is not None:
        return known
    wanted = "GET" if method == "HEAD" else method
    for methods, prefix, roles in ALLOWED:
        if wanted in methods.split() and (path == prefix or path.startswith(prefix + "/")):
            return roles
    return _OPERATOR


def _said(scope: Scope) -> _Said:
    host = origin = authorization = b""
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
        elif name == b"authorization":
            authorization = value
    return _Said(host, origin, authorization)


def _key_text(authorization: bytes) -> bytes:
    """The key in an ``Authorization`` header: a bearer's, or the password of a browser's Basic; empty for others."""
    scheme, _, credentials = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip()
        case b"basic":
            try:
                return base64.b64decode(credentials, validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


def _without_port(host: bytes) -> bytes:
    return host if host.endswith(b"]") else host.rpartition(b":")[0] or host


def _elsewhere(host: bytes) -> ApiError:
    shown = host.decode("latin-1")
    return ApiError(
        403,
        f"Without API keys Loopwise answers programs on this machine only, not Host {shown!r}: call http://127.0.0.1 "
        "or http://localhost directly, or make a key with 'loopwise keys create NAME'.",
        code="host_not_allowed",
    )


def _unknown_caller(scope: Scope, authorization: bytes) -> ApiError:
    """Says nothing of what was sent: neither the key nor what is wrong with it."""
    sentence = "The API key is not valid, or was revoked" if authorization else "The request has no API key"
    # A browser asks for the key where it is told Basic; a program's call must not open that dialog on a page.
    scheme = "Bearer" if scope["path"].startswith("/v1/") else "Basic"
    return ApiError(
        401,
        f"{sentence}: send 'Authorization: Bearer lw_…' with a key from 'loopwise keys create NAME'.",
        code="invalid_api_key",
        headers={"WWW-Authenticate": f'{scheme} realm="Loopwise"'},
    )
