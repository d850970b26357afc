"""The two clients that people's products use: OpenAI's for questions, Loopwise's for feedback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp

from loopwise.client import AsyncClient
from loopwise.errors import BusyError, EngineError, RefusedError, UnreachableError, missing_extra
from loopwise.types import JsonObject, Message

try:
    import openai
except ModuleNotFoundError as error:
    raise missing_extra("openai") from error

MODEL = "loopwise"
TEMPERATURE = 0.7
TIMEOUT_S = 60.0  # of one request
NO_KEY = "none"  # OpenAI's client wants one; a gateway without keys reads none


@dataclass(frozen=True)
class Address:
    """Where a gateway answers, and a key where it wants one."""

    url: str
    api_key: str | None = None


@dataclass(frozen=True)
class Answered:
    """The exchange's id, and the text of the answer."""

    id: str
    text: str


class FailedError(Exception):
    """The gateway failed to serve one request, and may serve the next."""


@dataclass(frozen=True)
class Product:
    """What people use. Both methods raise FailedError for what passes (5xx, 429, a broken connection), and EngineError
    for a gateway that cannot be reached or refuses."""

    gateway: Address
    chat: openai.AsyncOpenAI
    client: AsyncClient

    async def ask(self, messages: Sequence[Message], user: str) -> Answered:
        try:
            answer = await self.chat.chat.completions.create(
                model=MODEL, messages=cast(Any, list(messages)), temperature=TEMPERATURE, user=user
            )
        except openai.APIStatusError as error:
            if error.status_code >= 500 or error.status_code == 429:
                raise FailedError from error
            raise _refused(self.gateway.url, error.status_code, error.message) from error
        except openai.APIConnectionError as error:
            if unmet := _unmet(error):
                raise EngineError(
                    f"No gateway answers at {self.gateway.url} ({unmet.strerror or unmet}); start one with "
                    "'loopwise up', or name another with --url."
                ) from error
            raise FailedError from error
        except (openai.APIError, ValueError) as error:
            raise FailedError from error
        return Answered(answer.id, answer.choices[0].message.content or "")

    async def say(self, said: Sequence[Sequence[JsonObject]]) -> Sequence[None]:
        """Sends what several people said; returns when the gateway has it on disk."""
        try:
            await self.client.feedback([row for rows in said for row in rows])
        except RefusedError as error:
            raise _refused(self.gateway.url, error.status or 0, str(error)) from error
        except (BusyError, UnreachableError) as error:
            raise FailedError from error
        return [None] * len(said)


@asynccontextmanager
async def product(gateway: Address) -> AsyncGenerator[Product]:
    """Both clients, open for as long as the block runs."""
    url = gateway.url.rstrip("/").removesuffix("/v1")
    async with (
        openai.AsyncOpenAI(
            base_url=f"{url}/v1",
            api_key=gateway.api_key or NO_KEY,
            timeout=TIMEOUT_S,
            max_retries=0,  # a failed question is counted, not asked again behind the counts
            http_client=openai.DefaultAioHttpClient(),  # a question costs 0.7 ms of processor time, and 1.05 by default
        ) as chat,
        AsyncClient(url, gateway.api_key, timeout_s=TIMEOUT_S) as client,
    ):
        yield Product(Address(url, gateway.api_key), chat, client)


def _unmet(error: BaseException | None) -> aiohttp.ClientConnectorError | None:
    """What kept a connection from being made, if that is what went wrong."""
    while error is not None and not isinstance(error, aiohttp.ClientConnectorError):
        error = error.__cause__
    return error


def _refused(url: str, status: int, text: str) -> EngineError:
    key = "name the variable that holds a valid API key with --api-key-env"
    way_out = key if status in (401, 403) else "check that this is the address of a Loopwise gateway"
    return EngineError(f"{url} refused a request with status {status} ({text[:200]}); {way_out}.", status)
