"""Our own export: a JSON object a line, which brings back exactly what was taken out.

The first line is ``{"type": "loopwise", "version": 1, "pseudonyms": true}``; then every exchange, ``{"type":
"exchange", …}``, and every feedback, ``{"type": "feedback", …}``, with the fields of ``loopwise.types``. Users are
exported as they are stored: as pseudonyms, which only the project that made them can make again; ``pseudonyms`` is
false where the project stores names, which are then hashed by whoever imports them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loopwise.gateway.identity import pseudonym
from loopwise.transfer.row import Record, Refused, Row, RowError, Taken, opinion, taken
from loopwise.types import Exchange, Feedback, JsonObject

VERSION = 1
_EXCHANGE: TypeAdapter[Exchange] = TypeAdapter(Exchange)
_FEEDBACK: TypeAdapter[Feedback] = TypeAdapter(Feedback)
_USERS = ("user", "safety_identifier")
_EXTRA = {"rating": ("scale",), "metric": ("name",)}  # what belongs to a kind, and is kept in the metadata


def knows(row: JsonObject) -> bool:
    return row.get("type") in ("loopwise", "exchange", "feedback")


def header(pseudonyms: bool) -> JsonObject:
    return {"type": "loopwise", "version": VERSION, "pseudonyms": pseudonyms}


def reader(rows: Iterator[Row], key: bytes | None) -> Iterator[Taken | Refused]:
    """The records as they were exported. A part of an export, without its first line, is taken for one of
    pseudonyms."""
    hashed_with: bytes | None = None
    for row in rows:
        if row.value.get("type") == "loopwise":
            if row.value.get("version") != VERSION:
                yield Refused(row.line, f"The export has version {row.value.get('version')!r}; known is {VERSION}.")
                return
            hashed_with = None if row.value.get("pseudonyms") is True else key
        else:
            yield taken(row.line, lambda value=row.value, key=hashed_with: [_record(value, key)])


def _record(row: JsonObject, key: bytes | None) -> Record:
    fields = json.dumps({name: value for name, value in row.items() if name != "type"})
    try:  # as JSON: of Python objects, strictness would want instances
        if row.get("type") == "exchange":
            return _exchange(_EXCHANGE.validate_json(fields, strict=True), key)
        if row.get("type") == "feedback":
            return _feedback(_FEEDBACK.validate_json(fields, strict=True), key)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RowError(f"{place}: {first['msg']}; it was {str(first['input'])[:80]!r}.") from error
    raise RowError(f"The row's type is none of 'exchange' and 'feedback': {row.get('type')!r}.")


def _exchange(found: Exchange, key: bytes | None) -> Exchange:
    _refuse_nul(found.id, found.model, found.release, found.user, found.episode, found.error, found.upstream_id)
    if key is None or found.user is None:
        return found
    names = {name: pseudonym(str(found.request[name]), key) for name in _USERS if name in found.request}
    return replace(found, user=pseudonym(found.user, key), request={**found.request, **names}, conversation=None)


def _feedback(found: Feedback, key: bytes | None) -> Feedback:
    """Checked as feedback that comes over the wire is; only a text may be gone: it expired, or was not to be kept."""
    _refuse_nul(found.id, found.exchange_id, found.episode_id, found.user, found.comment, found.supersedes)
    if not _is_gone(found):
        extra: dict[str, Any] = {name: found.metadata.get(name) for name in _EXTRA.get(found.kind, ())}
        opinion({"kind": found.kind, "value": found.value, "exchange_id": "any", "choice": found.choice, **extra}, None)
    return found if key is None or found.user is None else replace(found, user=pseudonym(found.user, key))


def _is_gone(found: Feedback) -> bool:
    """Whether the feedback is what ``store.textless`` leaves of a text."""
    if found.kind == "preference":
        return found.value == {"chosen": None, "rejected": None}
    return found.value is None and found.kind not in ("thumbs", "rating", "metric")


def _refuse_nul(*values: str | None) -> None:
    if any("\0" in value for value in values if value):
        raise RowError("An id, name or comment holds the character NUL.")
