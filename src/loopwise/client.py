"""What a product imports: sends feedback and exchanges to a Loopwise gateway. No torch, no server.

    import loopwise

    with loopwise.Client("http://127.0.0.1:4040", api_key="lw_…") as client:
        client.thumbs(answer.id, 1, user="u1")

``answer`` is whatever an OpenAI client returned through the gateway, or your own message id where another gateway
answered. ``AsyncClient`` has the same methods, to be awaited.

Every row gets its id here, before it is sent, so that sending it again is safe: the gateway keeps it once. What fails
for a passing reason (no connection, 429, 5xx) is therefore tried again, after the time that the gateway names or
half a second, one, two, … each cut short by chance.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar, Unpack

import httpx

from loopwise.delivery import Delivery, Receipt
from loopwise.errors import UsageError
from loopwise.gateway.identity import new_id
from loopwise.types import Endpoint, FeedbackKind, FeedbackSource, JsonObject

_FEEDBACK = "/v1/feedback"
_EXCHANGES = "/v1/exchanges"

R = TypeVar("R", covariant=True)


class About(TypedDict, total=False):
    """What any feedback may say besides its value. ``at`` is when it was given: seconds since the epoch, or a datetime;
    default: when it arrives. ``choice`` is the index of the choice that is meant, ``supersedes`` the id of earlier
    feedback that this one replaces. ``source`` other than human and implicit takes an operator key."""

    episode_id: str
    choice: int
    user: str
    comment: str
    source: FeedbackSource
    id: str
    at: float | datetime
    supersedes: str
    metadata: Mapping[str, Any]


class Brought(TypedDict, total=False):
    """An exchange that another gateway served. What was asked is ``messages`` or the whole ``request``; what was
    answered is ``content``, ``choices`` or the whole ``response``, or there is an ``error``. ``id`` is your own message
    id, under which feedback finds it. ``store=False`` keeps its text out of the store, ``train=False`` out of training.
    """

    id: str
    at: float | datetime
    model: str
    endpoint: Endpoint
    request: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    response: Mapping[str, Any]
    choices: Sequence[Mapping[str, Any]]
    content: str
    user: str
    episode_id: str
    status: int
    latency_s: float
    first_token_s: float
    usage: Mapping[str, Any]
    error: str
    train: bool
    store: bool
    metadata: Mapping[str, Any]


class _Methods(ABC, Generic[R]):
    """One method for each kind of feedback. ``exchange_id`` is the answer's id; give None and ``episode_id="…"`` for
    feedback on a whole episode. All raise GatewayError, and UsageError for what cannot be written as JSON."""

    @abstractmethod
    def _deliver(self, path: str, rows: Sequence[JsonObject]) -> R: ...

    def thumbs(self, exchange_id: str | None, value: int, **about: Unpack[About]) -> R:
        """Good or bad: ``client.thumbs(answer.id, 1, user="u1")``, or -1."""
        return self._say("thumbs", exchange_id, value, about)

    def rating(self, exchange_id: str | None, value: float, scale: tuple[float, float], **about: Unpack[About]) -> R:
        """A number on a scale: ``client.rating(answer.id, 4, scale=(1, 5))``."""
        return self._say("rating", exchange_id, value, about, scale=list(scale))

    def metric(self, exchange_id: str | None, name: str, value: float, **about: Unpack[About]) -> R:
        """A number that you measure: ``client.metric(answer.id, "minutes_saved", 3.5)``."""
        return self._say("metric", exchange_id, value, about, name=name)

    def correct(self, exchange_id: str | None, text: str, **about: Unpack[About]) -> R:
        """What the answer should have been: ``client.correct(answer.id, "42")``."""
        return self._say("correction", exchange_id, text, about)

    def prefer(self, exchange_id: str | None, chosen: str | int, rejected: str | int, **about: Unpack[About]) -> R:
        """The better of two texts, or of two choices of one answer by index: ``client.prefer(answer.id, 1, 0)``."""
        return self._say("preference", exchange_id, {"chosen": chosen, "rejected": rejected}, about)

    def comment(self, exchange_id: str | None, text: str, **about: Unpack[About]) -> R:
        """Anything in words: ``client.comment(answer.id, "too long")``."""
        return self._say("comment", exchange_id, text, about)

    def accept(self, exchange_id: str | None, **about: Unpack[About]) -> R:
        """The person took the answer as it was: ``client.accept(answer.id)``."""
        return self._say("accept", exchange_id, None, about)

    def copy(self, exchange_id: str | None, text: str | None = None, **about: Unpack[About]) -> R:
        """The person copied the answer, or ``text`` of it: ``client.copy(answer.id)``."""
        return self._say("copy", exchange_id, text, about)

    def edit(self, exchange_id: str | None, text: str, **about: Unpack[About]) -> R:
        """What the answer was changed to before it was used: ``client.edit(answer.id, "Dear Ms. Li, …")``."""
        return self._say("edit", exchange_id, text, about)

    def regenerate(self, exchange_id: str | None, **about: Unpack[About]) -> R:
        """The person asked for another answer to the same question: ``client.regenerate(answer.id)``."""
        return self._say("regenerate", exchange_id, None, about)

    def abandon(self, exchange_id: str | None, **about: Unpack[About]) -> R:
        """The person left before the answer was of use: ``client.abandon(answer.id)``."""
        return self._say("abandon", exchange_id, None, about)

    def follow_up(self, exchange_id: str | None, text: str, **about: Unpack[About]) -> R:
        """What the person said next: ``client.follow_up(answer.id, "no, the other one")``."""
        return self._say("follow_up", exchange_id, text, about)

    def feedback(self, rows: Iterable[Mapping[str, Any]]) -> R:
        """Many at once, each with the fields of ``POST /v1/feedback``:
        ``client.feedback([{"exchange_id": answer.id, "kind": "thumbs", "value": 1}])``.

        More than 1,000 are sent as several requests, each of which is kept whole or not at all. Where one fails, the
        error's ``unsent`` holds the rows that were not acknowledged, with their ids: give them to this method again."""
        return self._deliver(_FEEDBACK, [{"id": new_id("fb"), **row} for row in rows])

    def exchange(self, **exchange: Unpack[Brought]) -> R:
        """Brings in what another gateway served:
        ``client.exchange(id="msg-7", model="gpt-5", messages=[…], content="42", user="u1")``."""
        return self.exchanges([exchange])

    def exchanges(self, rows: Iterable[Brought]) -> R:
        """Many exchanges at once; sent and failing as in ``feedback``."""
        return self._deliver(_EXCHANGES, [{"id": new_id("ex"), **row} for row in rows])

    def _say(self, kind: FeedbackKind, exchange_id: str | None, value: Any, about: About, **fields: Any) -> R:
        row = {"exchange_id": exchange_id, "kind": kind, "value": value, **fields, **about}
        return self.feedback([{name: field for name, field in row.items() if field is not None}])


class Client(_Methods[Receipt]):
    """Sends, waits for the acknowledgment, and may be shared by threads. ``timeout_s`` bounds each of up to
    ``1 + retries`` tries; ``base_url`` may end in ``/v1``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:4040",
        api_key: str | None = None,
        *,
        timeout_s: float = 10.0,
        retries: int = 3,
    ):
        self._retries = retries
        self._http = httpx.Client(base_url=_address(base_url), headers=_headers(api_key), timeout=timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _deliver(self, path: str, rows: Sequence[JsonObject]) -> Receipt:
        delivery = Delivery(rows, self._retries, self._http.base_url)
        while body := delivery.next_body:
            try:
                outcome = self._http.post(path, content=body)
            except httpx.RequestError as error:
                outcome = error
            time.sleep(delivery.take(outcome))
        return delivery.receipt


class AsyncClient(_Methods[Coroutine[Any, Any, Receipt]]):
    """``Client`` for asyncio: ``await client.thumbs(answer.id, 1)``, within ``async with loopwise.AsyncClient(…)``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:4040",
        api_key: str | None = None,
        *,
        timeout_s: float = 10.0,
        retries: int = 3,
    ):
        self._retries = retries
        self._http = httpx.AsyncClient(base_url=_address(base_url), headers=_headers(api_key), timeout=timeout_s)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _deliver(self, path: str, rows: Sequence[JsonObject]) -> Receipt:
        delivery = Delivery(rows, self._retries, self._http.base_url)
        while body := delivery.next_body:
            try:
                outcome = await self._http.post(path, content=body)
            except httpx.RequestError as error:
                outcome = error
            await asyncio.sleep(delivery.take(outcome))
        return delivery.receipt


def _address(base_url: str) -> str:
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"base_url = {base_url!r} is no address: write http:// or https:// and a host.")
    return base_url.rstrip("/").removesuffix("/v1")


def _headers(api_key: str | None) -> dict[str, str]:
    """Raises UsageError, without quoting the key, for one that no header can hold."""
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise UsageError(
            "api_key is empty or holds spaces or unprintable characters: give it as 'loopwise keys' showed it."
        )
    authorization = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
    return {"content-type": "application/json", **authorization}
