"""Where the model answers, and the pooled connections to it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from loopwise.engine.openai import claimed_fingerprint, endpoint, refusal, unreachable
from loopwise.gateway.errors import ApiError
from loopwise.types import JsonObject, Release

# Shorter than the 5 s after which uvicorn, and so vLLM, closes an idle connection: a request that meets the closing
# could not be repeated safely.
_IDLE_S = 4.0


@dataclass(frozen=True)
class Upstream:
    """The model's server. ``embedded``: ours, which serves each release under its name and proves its weights.
    ``openai``: any other, which is asked for ``model``."""

    url: str
    api_key: str | None
    kind: Literal["embedded", "openai"]
    model: str
    connect_s: float = 5.0
    first_token_s: float = 120.0  # of a stream: until the first event, and between events
    total_s: float = 600.0
    retries: int = 2

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


def open_session() -> aiohttp.ClientSession:
    """A session that lives as long as the gateway; wants a running event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def ask(session: aiohttp.ClientSession, upstream: Upstream, body: JsonObject) -> aiohttp.ClientResponse:
    """The answer to a chat request, its body not yet read; whoever takes it closes it.

    Raises ApiError: 502 or 504 where the server fails, its own status and words where it refuses the request.
    """
    with failures(upstream):
        # no redirects: addresses come from the settings alone
        response = await session.post(
            endpoint(upstream.url, "chat/completions"), json=body, headers=upstream.headers, allow_redirects=False
        )
        if response.status == 200:
            return response
        async with response:
            content = await response.read()
    sentence = f"The model's server refused with status {response.status}: {refusal(content)}"
    raise ApiError(response.status if 400 <= response.status < 500 else 502, sentence, code="upstream_refused")


@contextmanager
def failures(upstream: Upstream) -> Generator[None]:
    """Names the ways in which a connection to the model's server fails."""
    try:
        yield
    except TimeoutError as error:  # before ClientError, which aiohttp's timeouts are, too
        sentence = f"The model's server at {upstream.url} did not answer in time: see whether it is overloaded."
        raise ApiError(504, sentence, code="upstream_timeout") from error
    except aiohttp.ClientPayloadError as error:
        raise broken(upstream, "stopped in the middle of its answer") from error
    except aiohttp.ClientError as error:
        raise ApiError(502, unreachable(upstream.url, error), code="upstream_unreachable") from error


def broken(upstream: Upstream, what: str) -> ApiError:
    """The server answered, but not with a whole answer in OpenAI's form."""
    return ApiError(502, f"The model's server at {upstream.url} {what}: see its log.", code="upstream_broken")


def proved_fingerprint(upstream: Upstream, release: Release, claim: Any, model: Any) -> str:
    """The fingerprint of the weights that answered.

    Raises ApiError 502 when our own engine does not prove that they are the release's: stale weights would otherwise
    answer in silence. Another server's claim is marked as one.
    """
    if upstream.kind == "openai":
        return claimed_fingerprint(str(claim) if claim else None, str(model or upstream.model))
    if claim != release.fingerprint:
        raise ApiError(
            502,
            f"The engine answered for {release.name!r} with the weights {claim!r}, but the release is "
            f"{release.fingerprint!r}: the answer is withheld; restart the engine.",
            code="wrong_weights",
        )
    return release.fingerprint
