"""Where the model answers, the pooled connections to it, and what is tried again.

A request is repeated only where the server cannot have begun it: when no connection came about, when it refused with
429, or with 503 and a ``Retry-After`` (without one, a 503 may be a proxy's word for a connection that broke on the
way). Between tries it waits as long as the server says, or a random time up to a bound that doubles ("full jitter",
Brooker 2015). ``total_s`` bounds all tries together.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import aiohttp

from loopwise.engine.openai import endpoint, refusal, unreachable
from loopwise.gateway.errors import CLIENT_GONE, ApiError

# Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection: a request that meets the closing
# could not be repeated safely.
_IDLE_S = 4.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
LARGEST_ANSWER_BYTES = 64_000_000
_UNCONNECTED = "upstream_unreachable"
_OUR_HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}
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
    section: str = "[engine]"  # where the settings name it

    @cached_property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def without_key(self, content: bytes) -> bytes:
        """What a server says as it refuses, with the key blotted out: some quote it, and what they say is kept. Not for
        answers, whose text may hold what some servers take for a key, such as EMPTY."""
        return content.replace(self.api_key.encode(), b"[the server's key]") if self.api_key else content

    def timeout(self, streams: bool, left_s: float) -> aiohttp.ClientTimeout:
        """Of an answer for which ``left_s`` is left. A whole one may be silent for as long as it takes in all."""
        silent_s = self.first_token_s if streams else None
        return aiohttp.ClientTimeout(total=left_s, connect=self.connect_s, sock_read=silent_s)


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
    tries, until_s = 0, time.monotonic() + upstream.total_s
    while True:
        try:
            with failures(upstream):
                response = await _sent(session, upstream, question, until_s - time.monotonic())
                if 200 <= response.status < 300:
                    return response
                async with response:
                    raise _refusal(upstream, response, await read_whole(upstream, response))
        except ApiError as error:
            pause_s = _pause_s(error, tries) if tries < upstream.retries else None
            if pause_s is None or time.monotonic() + pause_s >= until_s:
                raise
        tries += 1
        await asyncio.sleep(pause_s)


async def _sent(
    session: aiohttp.ClientSession, upstream: Upstream, question: Question, left_s: float
) -> aiohttp.ClientResponse:
    return await session.request(
        question.method,
        endpoint(upstream.url, question.path),
        data=question.body,
        headers={**_OUR_HEADERS, **question.headers, **upstream.headers},
        timeout=upstream.timeout(question.streams, left_s),
        allow_redirects=False,  # addresses come from the settings alone
    )


async def read_whole(upstream: Upstream, response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises ApiError 502 when it is larger than any answer."""
    length = response.content_length
    if length is not None and length <= LARGEST_ANSWER_BYTES and "content-encoding" not in response.headers:
        return await response.read()
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > LARGEST_ANSWER_BYTES:
            response.close()
            raise broken(upstream, f"sent an answer of over {LARGEST_ANSWER_BYTES:,} bytes")
    return bytes(content)


def _refusal(upstream: Upstream, response: aiohttp.ClientResponse, content: bytes) -> ApiError:
    told = refusal(upstream.without_key(content))
    sentence = f"The model's server refused with status {response.status}: {told.message}"
    headers = {
        name: value for name in _PASSED_BACK if (value := response.headers.get(name)) is not None and value.isascii()
    }
    code = told.code if isinstance(told.code, str) else "upstream_refused"
    # A proxy's own 499 says nothing of our client, and above 599 there are no statuses.
    usable = 400 <= response.status < 600 and response.status != CLIENT_GONE
    status = response.status if usable else 502
    return ApiError(status, sentence, told.param, code, told.type, headers)


def _pause_s(error: ApiError, tries: int) -> float | None:
    """How long to wait before the next try; None where another try would not be safe, or not be soon."""
    asked = _seconds(error.headers.get("retry-after"))
    if error.code != _UNCONNECTED and error.status != 429 and (error.status != 503 or asked is None):
        return None
    if asked is not None:
        return asked if asked <= _LONGEST_PAUSE_S else None
    return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**tries))


def _seconds(retry_after: str | None) -> float | None:
    """Of the header's two forms the one in seconds; a date is for later than a client would wait."""
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return math.inf


@contextmanager
def failures(upstream: Upstream) -> Generator[None]:
    """Names the ways in which a connection to the model's server fails."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        why = error if isinstance(error, aiohttp.ClientConnectorError) else f"no connection in {upstream.connect_s:g} s"
        raise ApiError(502, unreachable(upstream.url, why, upstream.section), code=_UNCONNECTED) from error
    except aiohttp.SocketTimeoutError as error:
        raise late(upstream, f"sent nothing for {upstream.first_token_s:g} s", "first_token_s") from error
    except TimeoutError as error:  # before ClientError, which aiohttp's timeouts are, too
        raise late(upstream, f"did not end its answer within {upstream.total_s:g} s", "total_s") from error
    except aiohttp.ClientPayloadError as error:
        raise broken(upstream, "stopped in the middle of its answer") from error
    except aiohttp.ClientError as error:
        raise broken(upstream, f"broke the connection ({type(error).__name__})") from error


def late(upstream: Upstream, what: str, setting: str) -> ApiError:
    """The server took longer than ``setting`` lets it."""
    sentence = f"The model's server at {upstream.url} {what}: see whether it is overloaded, or raise {setting}."
    return ApiError(504, sentence, code="upstream_timeout")


def broken(upstream: Upstream, what: str) -> ApiError:
    """The server answered, but not with a whole answer in OpenAI's form."""
    return ApiError(502, f"The model's server at {upstream.url} {what}: see its log.", code="upstream_broken")
