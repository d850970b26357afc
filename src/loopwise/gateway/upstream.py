"""Where the model answers, the pooled connections to it, and what is tried again.

A request is repeated only where the server cannot have begun it: when no connection came about, or when it refused with
429 or 503. Between tries it waits as long as the server's ``Retry-After`` says, or a random time up to a bound that
doubles ("full jitter", Brooker 2015).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import aiohttp

from loopwise.engine.openai import endpoint, refused, unreachable
from loopwise.gateway.errors import ApiError

# Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection: a request that meets the closing
# could not be repeated safely.
_IDLE_S = 4.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
_LARGEST_ANSWER_BYTES = 64_000_000
_NOT_BEGUN = (429, 503)
_UNCONNECTED = "upstream_unreachable"
_PASSED_BACK = ("retry-after", "retry-after-ms", "x-request-id")


@dataclass(frozen=True)
class Upstream:
    """A model's server. ``embedded``: ours, which serves each release under its name and proves its weights.
    ``openai``: any other, which is asked for ``model``. ``first_token_s`` bounds the wait for a stream's first event
    and between events."""

    url: str
    api_key: str | None
    kind: Literal["embedded", "openai"]
    model: str
    connect_s: float = 5.0
    first_token_s: float = 120.0
    total_s: float = 600.0
    retries: int = 2

    @cached_property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def without_key(self, content: bytes) -> bytes:
        """What a server says as it refuses, with the key blotted out: some quote it, and what they say is kept. Not for
        answers, whose text may hold what some servers take for a key, such as EMPTY."""
        return content.replace(self.api_key.encode(), b"[the server's key]") if self.api_key else content

    @cached_property
    def timeout(self) -> aiohttp.ClientTimeout:
        """Of a whole answer, which may be silent for as long as it takes in all."""
        return aiohttp.ClientTimeout(total=self.total_s, sock_connect=self.connect_s)

    @cached_property
    def stream_timeout(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=self.total_s, sock_connect=self.connect_s, sock_read=self.first_token_s)


@dataclass(frozen=True)
class Question:
    """What is sent to a server: the body is JSON."""

    method: str
    path: str  # under /v1
    body: bytes | None
    headers: Mapping[str, str]
    streams: bool = False


def open_session() -> aiohttp.ClientSession:
    """A session that lives as long as the gateway; wants a running event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S), cookie_jar=aiohttp.DummyCookieJar()
    )


async def ask(session: aiohttp.ClientSession, upstream: Upstream, question: Question) -> aiohttp.ClientResponse:
    """The successful answer, its body not yet read; whoever takes it closes it.

    Raises ApiError: 502 or 504 where the server cannot be used, its own status and words where it refuses.
    """
    tries = 0
    while True:
        try:
            with failures(upstream):
                response = await _sent(session, upstream, question)
                if 200 <= response.status < 300:
                    return response
                async with response:
                    raise _refusal(upstream, response, await read_whole(upstream, response))
        except ApiError as error:
            pause_s = _pause_s(error, tries) if tries < upstream.retries else None
            if pause_s is None:
                raise
        tries += 1
        await asyncio.sleep(pause_s)


async def _sent(session: aiohttp.ClientSession, upstream: Upstream, question: Question) -> aiohttp.ClientResponse:
    return await session.request(
        question.method,
        endpoint(upstream.url, question.path),
        data=question.body,
        headers={"content-type": "application/json", **question.headers, **upstream.headers},
        timeout=upstream.stream_timeout if question.streams else upstream.timeout,
        allow_redirects=False,  # addresses come from the settings alone
    )


async def read_whole(upstream: Upstream, response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ApiError 502 when it is larger than any answer."""
    if response.content_length is not None and response.content_length <= _LARGEST_ANSWER_BYTES:
        return await response.read()
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST_ANSWER_BYTES:
            response.close()
            raise broken(upstream, f"sent an answer of over {_LARGEST_ANSWER_BYTES:,} bytes")
    return bytes(content)


def _refusal(upstream: Upstream, response: aiohttp.ClientResponse, content: bytes) -> ApiError:
    told = refused(upstream.without_key(content))
    sentence = f"The model's server refused with status {response.status}: {told.message}"
    headers = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
    code = told.code if isinstance(told.code, str) else "upstream_refused"
    status = response.status if response.status >= 400 else 502
    return ApiError(status, sentence, told.param, code, told.type, headers)


def _pause_s(error: ApiError, tries: int) -> float | None:
    """How long to wait before the next try; None where another try would not be safe, or not be soon."""
    if error.code != _UNCONNECTED and error.status not in _NOT_BEGUN:
        return None
    asked = error.headers.get("retry-after", "")
    if asked.replace(".", "", 1).isdigit():
        return float(asked) if float(asked) <= _LONGEST_PAUSE_S else None
    return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**tries))


@contextmanager
def failures(upstream: Upstream) -> Generator[None]:
    """Names the ways in which a connection to the model's server fails."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        why = error if isinstance(error, aiohttp.ClientConnectorError) else f"no connection in {upstream.connect_s:g} s"
        raise ApiError(502, unreachable(upstream.url, why), code=_UNCONNECTED) from error
    except aiohttp.SocketTimeoutError as error:
        raise _late(upstream, f"sent nothing for {upstream.first_token_s:g} s", "first_token_s") from error
    except TimeoutError as error:  # before ClientError, which aiohttp's timeouts are, too
        raise _late(upstream, f"did not end its answer within {upstream.total_s:g} s", "total_s") from error
    except aiohttp.ClientPayloadError as error:
        raise broken(upstream, "stopped in the middle of its answer") from error
    except aiohttp.ClientError as error:
        raise broken(upstream, f"broke the connection ({type(error).__name__})") from error


def _late(upstream: Upstream, what: str, setting: str) -> ApiError:
    sentence = f"The model's server at {upstream.url} {what}: see whether it is overloaded, or raise {setting}."
    return ApiError(504, sentence, code="upstream_timeout")


def broken(upstream: Upstream, what: str) -> ApiError:
    """The server answered, but not with a whole answer in OpenAI's form."""
    return ApiError(502, f"The model's server at {upstream.url} {what}: see its log.", code="upstream_broken")
