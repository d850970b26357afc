"""What a file is made of: rows that were read, rows that were not, and the records that a format makes of a row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from loopwise.gateway.brought import parse_brought
from loopwise.gateway.errors import ApiError
from loopwise.gateway.opinion import parse_opinion, shown
from loopwise.types import Exchange, Feedback, JsonObject

Record = Exchange | Feedback


class RowError(Exception):
    """A row that cannot be taken; the message is the reason, a sentence."""


@dataclass(frozen=True)
class Row:
    """``line`` counts from 1; in a file that is one JSON document it is the row's place instead."""

    line: int
    value: JsonObject


@dataclass(frozen=True)
class Refused:
    """A row that could not be taken."""

    line: int
    reason: str


@dataclass(frozen=True)
class Taken:
    """What a row amounts to; empty where it is of a kind that says nothing of an answer, such as a span."""

    line: int
    records: tuple[Record, ...]


Reader = Callable[[Iterator[Row], bytes | None], Iterator[Taken | Refused]]  # the key makes pseudonyms of users


def each(read: Callable[[JsonObject, bytes | None], list[Record]]) -> Reader:
    """A reader that takes row by row."""

    def reader(rows: Iterator[Row], key: bytes | None) -> Iterator[Taken | Refused]:
        for row in rows:
            yield taken(row.line, lambda value=row.value: read(value, key))

    return reader


def taken(line: int, read: Callable[[], list[Record]]) -> Taken | Refused:
    """What ``read`` makes of the row at ``line``, or why it does not."""
    try:
        return Taken(line, tuple(read()))
    except RowError as error:
        return Refused(line, str(error))


def exchange(row: JsonObject, key: bytes | None) -> Exchange:
    """An exchange in the shape of ``POST /v1/exchanges``; None counts as absent. Raises RowError."""
    try:
        return parse_brought({name: value for name, value in row.items() if value is not None}, "", key)
    except ApiError as error:
        raise RowError(error.message) from error


def opinion(row: JsonObject, key: bytes | None) -> Feedback:
    """Feedback in the shape of ``POST /v1/feedback``. Raises RowError."""
    try:
        return parse_opinion(row, "", key, operator=True)
    except ApiError as error:
        raise RowError(error.message) from error


def digest(value: Any) -> str:
    """32 hex digits that follow from the value: what has no id of its own is known again by them."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def instant(value: Any, what: str) -> float | None:
    """Seconds since the epoch, from a number or an ISO 8601 date (UTC where it names no zone). Raises RowError."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        found = datetime.fromisoformat(str(value).strip('"'))
    except ValueError as error:
        raise RowError(f"{what} is no date: {shown(value)}.") from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def text(value: Any, what: str) -> str | None:
    """A text that may be absent; an empty one counts as absent. Raises RowError."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RowError(f"{what} must be a text; it was {shown(value)}.")
    return value


def table(value: Any, what: str) -> JsonObject:
    """An object that may be absent. Raises RowError."""
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RowError(f"{what} must be an object; it was {shown(value)}.")
    return cast(JsonObject, value)
