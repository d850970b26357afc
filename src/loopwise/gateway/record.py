"""Makes an Exchange of a call and what came of it, and puts it on disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from loopwise.errors import StoreError, UnstorableError
from loopwise.gateway.call import Call
from loopwise.gateway.errors import ApiError
from loopwise.gateway.jsontext import storable
from loopwise.gateway.observer import Observer
from loopwise.gateway.seen import conversation
from loopwise.store import Store, exchanges
from loopwise.store.textless import textless_request, textless_response
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, JsonObject

_REMEMBERED = 10_000  # answers whose server and id there need no look in the store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a call. ``status`` is the client's; ``response`` is a whole answer, or what was seen of a stream."""

    status: int
    response: JsonObject | None = None
    fingerprint: str = ""  # empty when no weights answered
    first_token_s: float | None = None
    error: str | None = None
    upstream_id: str | None = None


STOPPED = Outcome(503, error="the gateway was stopped before the answer ended")


def exchange_of(call: Call, outcome: Outcome, secret: bytes) -> Exchange:
    """The record of a call, without its text where ``store`` was false."""
    request, response, error = call.request, outcome.response, outcome.error
    if error is not None:  # a server's words, which no database may be able to hold
        error = storable(error).replace("\0", "\ufffd")
    if not call.store:
        request = textless_request(request)
        response = textless_response(response) if response is not None else None
        error = f"status {outcome.status}" if error else None  # a server's refusal may quote the prompt
    return Exchange(
        id=call.id,
        at=call.at,
        model=call.model,
        release=call.target.release,
        fingerprint=outcome.fingerprint,
        arm=call.target.arm,
        propensity=1.0,
        request=request,
        response=response,
        status=outcome.status,
        latency_s=time.perf_counter() - call.started,
        first_token_s=outcome.first_token_s,
        user=call.user,
        episode=call.episode,
        train=call.train,
        error=error,
        endpoint=call.endpoint.name,
        store=call.store,
        upstream_id=outcome.upstream_id,
        conversation=conversation(call, secret),
    )


class Recorder:
    """Puts exchanges on disk. ``healthy`` says whether the last one got there, ``refuses`` whether an answer that
    cannot be recorded is refused."""

    def __init__(self, store: Store, writer: GroupWriter, secret: bytes, refuses: bool, observers: Sequence[Observer]):
        self._store = store
        self._writer = writer
        self._secret = secret
        self._observers = observers
        self._origins: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self.refuses = refuses
        self.healthy = True

    async def record(self, call: Call, outcome: Outcome) -> bool:
        """Waits until the exchange is on disk. False, with an alarm in the log, when the store fails."""
        exchange = exchange_of(call, outcome, self._secret)
        if exchange.upstream_id:
            self._origins[exchange.id] = (exchange.model, exchange.upstream_id)
            if len(self._origins) > _REMEMBERED:
                self._origins.popitem(last=False)
        try:
            await self._writer.write([exchange])
        except UnstorableError as error:  # says nothing about the store
            _log.error("ALARM: exchange %s is not recorded: %s", call.id, error)
            self._tell(exchange, False)
            return False
        except StoreError as error:
            self.healthy = False
            _log.error("ALARM: exchange %s is not recorded: %s", call.id, error)
        else:
            self.healthy = True
        self._tell(exchange, self.healthy)
        return self.healthy

    def _tell(self, exchange: Exchange, recorded: bool) -> None:
        for observer in self._observers:
            observer.exchanged(exchange, recorded)

    def hand_over(self, call: Call, outcome: Outcome) -> None:
        """Records without waiting: for a request that the server's end cuts off."""
        try:
            self._writer.hand_over([exchange_of(call, outcome, self._secret)])
        except StoreError as error:
            _log.error("ALARM: exchange %s is not recorded: %s", call.id, error)

    async def origin(self, exchange_id: str) -> tuple[str, str] | None:
        """The model that was asked for, and what its server calls the answer. None for an exchange that is not known;
        nor for one that was brought in, whose ids are whatever a caller wrote. Raises StoreError."""
        return self._origins.get(exchange_id) or await asyncio.to_thread(self._stored_origin, exchange_id)

    def _stored_origin(self, exchange_id: str) -> tuple[str, str] | None:
        with self._store.reading() as conn:
            found = exchanges.get(conn, exchange_id)
        if found is None or found.upstream_id is None or found.arm == "external":
            return None
        return found.model, found.upstream_id

    def refusal(self) -> ApiError:
        sentence = "The answer cannot be recorded, and [gateway] on_store_failure refuses such answers: see /readyz."
        return ApiError(503, sentence, code="not_recorded", headers={"retry-after": "5"})


def exchange_headers(call: Call, recorded: bool) -> list[tuple[bytes, bytes]]:
    """Both as ASGI takes them."""
    said = b"true" if recorded else b"false"
    return [(b"x-loopwise-exchange", call.id.encode()), (b"x-loopwise-recorded", said)]
