"""Makes an Exchange of a call and what came of it, and puts it on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from loopwise.errors import StoreError
from loopwise.gateway.call import Call
from loopwise.gateway.observer import Observer
from loopwise.store.writer import GroupWriter
from loopwise.types import Exchange, JsonObject

# What is kept of a request and a response whose text must not be stored: an allow list, so that no unknown field leaks.
_REQUEST_FIELDS = {
    "model", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stream", "store",
    "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "user", "safety_identifier",
}  # fmt: skip
_RESPONSE_FIELDS = {"id", "object", "created", "model", "system_fingerprint", "usage"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a call. ``status`` is the client's; ``response`` is a whole answer, or what was seen of a stream."""

    status: int
    response: JsonObject | None = None
    fingerprint: str = ""  # empty when no weights answered
    first_token_s: float | None = None
    error: str | None = None


def exchange_of(call: Call, outcome: Outcome) -> Exchange:
    """The record of a call, without its text where ``store`` was false."""
    request, response, error = call.request, outcome.response, outcome.error
    if not call.keep_text:
        request = _request_without_text(request)
        response = _response_without_text(response) if response is not None else None
        error = f"status {outcome.status}" if error else None  # a server's refusal may quote the prompt
    return Exchange(
        id=call.id,
        at=call.at,
        model=call.model,
        release=call.release.name,
        fingerprint=outcome.fingerprint,
        arm=call.arm,
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
    )


class Recorder:
    """Puts exchanges on disk; ``healthy`` says whether the last one got there."""

    def __init__(self, writer: GroupWriter, observers: Sequence[Observer] = ()):
        self._writer = writer
        self._observers = observers
        self.healthy = True

    async def record(self, call: Call, outcome: Outcome) -> bool:
        """Waits until the exchange is on disk. False, with an alarm in the log, when the store fails."""
        exchange = exchange_of(call, outcome)
        try:
            await self._writer.write([exchange])
        except StoreError as error:
            self.healthy = False
            _log.error("ALARM: exchange %s is not recorded: %s", call.id, error)
        else:
            self.healthy = True
        for observer in self._observers:
            observer.exchanged(exchange, self.healthy)
        return self.healthy


def recorded_header(recorded: bool) -> dict[str, str]:
    return {"x-loopwise-recorded": str(recorded).lower()}


def _request_without_text(request: JsonObject) -> JsonObject:
    kept = {key: value for key, value in request.items() if key in _REQUEST_FIELDS}
    return {**kept, "messages": [{"role": message["role"]} for message in request["messages"]]}


def _response_without_text(response: JsonObject) -> JsonObject:
    kept = {key: value for key, value in response.items() if key in _RESPONSE_FIELDS}
    choices = cast(list[Any], response.get("choices", []))
    kept["choices"] = [
        {"index": choice.get("index"), "finish_reason": choice.get("finish_reason")} for choice in choices
    ]
    return kept
