"""How the client's rows become requests, and what is made of the answers: no sockets, no clock, so that Client and
AsyncClient share it.

A request holds up to 1,000 rows, each with its id, so that sending it again is safe: the gateway keeps a row once.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

import httpx

from loopwise.errors import BusyError, GatewayError, RefusedError, UnreachableError, UsageError
from loopwise.types import JsonObject

_MOST_ROWS = 1_000  # that the gateway takes at once
_MOST_BYTES = 4_000_000  # well under the gateway's limit; only a single larger row goes over it
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Receipt:
    """The ids of what is on the gateway's disk. ``joined`` is False where feedback names an exchange that has not come
    in yet: it is joined when that does. ``known`` are the exchanges that were there before, by their ids, and were left
    as they were."""

    ids: tuple[str, ...]
    joined: bool = True
    known: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of the one row that was sent."""
        (only,) = self.ids
        return only


class Delivery:
    """Rows on their way: which body goes next, what came of it, and how long to wait before the one after."""

    def __init__(self, rows: Sequence[JsonObject], retries: int, address: httpx.URL):
        self._batches = deque(_batches(rows))
        self._retries = retries
        self._address = address.copy_with(userinfo=b"")  # a password is not for messages
        self._tried = 0
        self._ids: list[str] = []
        self._joined = True
        self._known: list[str] = []

    @property
    def next_body(self) -> bytes:
        """Empty when all is delivered."""
        return self._batches[0].body if self._batches else b""

    @property
    def receipt(self) -> Receipt:
        return Receipt(tuple(self._ids), self._joined, tuple(self._known))

    def take(self, outcome: httpx.Response | httpx.RequestError) -> float:
        """Seconds to wait before the next body is sent. Raises GatewayError when the present one is given up."""
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self._acknowledge(outcome)
            return 0.0
        wait_s = pause_s(outcome, self._tried)
        if wait_s is None or self._tried >= self._retries:
            raise self._failure(outcome)
        self._tried += 1
        return wait_s

    def _acknowledge(self, response: httpx.Response) -> None:
        answer = _json_object(response)
        if not isinstance(answer.get("ids"), list):
            raise self._failure(response)
        self._ids += answer["ids"]
        self._known += answer.get("known", [])
        self._joined = self._joined and response.status_code != 202
        self._batches.popleft()
        self._tried = 0

    def _failure(self, outcome: httpx.Response | httpx.RequestError) -> GatewayError:
        unsent = [row for batch in self._batches for row in batch.rows]
        if not isinstance(outcome, httpx.Response):
            reason = str(outcome) or type(outcome).__name__
            sentence = (
                f"No gateway answers at {self._address} ({reason}): start it with 'loopwise up', or correct base_url."
            )
            return UnreachableError(sentence, unsent=unsent)
        error = _json_object(outcome).get("error")
        found = cast(JsonObject, error) if isinstance(error, dict) else {}
        status, said = outcome.status_code, found.get("message")
        other = f"{self._address} answered with status {status} and no word of Loopwise's: correct base_url."
        return (BusyError if _passes(status) else RefusedError)(
            said if isinstance(said, str) else other, status, found.get("param"), found.get("code"), unsent
        )


@dataclass(frozen=True)
class _Batch:
    """Rows that go in one request, and its body."""

    rows: Sequence[JsonObject]
    body: bytes


def _batches(rows: Sequence[JsonObject]) -> list[_Batch]:
    """A row alone goes as an object, so that a refusal does not speak of a list."""
    if len(rows) == 1:
        return [_Batch(rows, _written(rows[0]))]
    found: list[_Batch] = []
    written = [_written(row) for row in rows]
    first, size = 0, 0
    for end, text in enumerate(written, 1):
        size += len(text)
        if end == len(rows) or end - first == _MOST_ROWS or size + len(written[end]) > _MOST_BYTES:
            found.append(_Batch(rows[first:end], b"[" + b",".join(written[first:end]) + b"]"))
            first, size = end, 0
    return found


def _written(row: JsonObject) -> bytes:
    at = row.get("at")
    sent = {**row, "at": at.timestamp()} if isinstance(at, datetime) else row
    try:
        return json.dumps(sent, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{row.get('id')!r} cannot be written as JSON ({error}): correct its values.") from error


def pause_s(outcome: httpx.Response | httpx.RequestError, tried: int) -> float | None:
    """Seconds to wait after a try that failed as ``tried`` others had before it. None where another would change
    nothing, or where the gateway wants a longer pause than anybody waits for."""
    usual_s = min(_FIRST_PAUSE_S * 2**tried, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)
    if not isinstance(outcome, httpx.Response):
        return usual_s
    if not _passes(outcome.status_code):
        return None
    wanted_s = _retry_after_s(outcome.headers.get("retry-after", ""))
    if wanted_s is None:
        return usual_s
    return wanted_s if wanted_s <= _LONGEST_PAUSE_S else None


def _passes(status: int) -> bool:
    """Whether what was refused so may be taken later."""
    return status in (408, 429) or status >= 500


def _retry_after_s(value: str) -> float | None:
    """RFC 9110: seconds, or a date."""
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _json_object(response: httpx.Response) -> JsonObject:
    try:
        value = response.json()
    except ValueError:
        return {}
    return cast(JsonObject, value) if isinstance(value, dict) else {}
