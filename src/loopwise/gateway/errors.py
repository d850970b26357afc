"""Errors in OpenAI's form: ``{"error": {"message", "type", "param", "code"}}``, each message a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loopwise.errors import StoreError, UnstorableError
from loopwise.types import JsonObject

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          413: "invalid_request_error", 429: "rate_limit_error"}  # fmt: skip

CLIENT_GONE = 499  # nginx's number for a client that hung up
RETRY_AFTER_S = 2  # a queue that is full is written in less


class ApiError(Exception):
    """Ends a request with ``status``; ``param`` names the field that is wrong, ``code`` is for programs. ``kind`` is
    OpenAI's ``type``, by default what the status says; ``headers`` go out with the answer, such as Retry-After."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.kind = kind or _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.headers = headers or {}

    def body(self) -> JsonObject:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(error.body(), error.status, {**error.headers, **(headers or {})})


async def on_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error, {"x-loopwise-recorded": "false"})


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such route, wrong method."""
    assert isinstance(error, HTTPException)
    sentence = f"{request.method} {request.url.path}: {error.detail}. The routes are listed in the README."
    return error_response(ApiError(error.status_code, sentence), error.headers)


async def on_store_error(_: Request, error: Exception) -> Response:
    if isinstance(error, UnstorableError):  # the row's fault: it would fail again
        return error_response(ApiError(400, str(error), code="unstorable"), {"x-loopwise-recorded": "false"})
    headers = {"x-loopwise-recorded": "false", "retry-after": str(RETRY_AFTER_S)}
    return error_response(ApiError(503, str(error), code="store_failed"), headers)


HANDLERS = {ApiError: on_api_error, HTTPException: on_http_error, StoreError: on_store_error}
