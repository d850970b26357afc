"""Feedback as it comes over the wire: which fields there are, and which value each kind takes."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from loopwise.errors import ForgottenError, sentence_on_forgotten
from loopwise.gateway.errors import ApiError
from loopwise.gateway.identity import new_id, pseudonym
from loopwise.types import Feedback, JsonObject

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
NO_NUL = r"^[^\u0000]*$"  # Postgres holds no NUL in a text
YEAR_9999 = 253_402_300_799
_LONGEST_QUOTE = 200  # characters


def _dated(value: Any) -> Any:
    """pydantic would read seconds, or milliseconds, into a number that is out of bounds and into a text of digits."""
    if not (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value, re.ASCII | re.IGNORECASE)):
        raise ValueError("no date and time as in 2026-01-31T12:00:00Z")
    return value


Name = Annotated[str, Field(min_length=1, max_length=512, pattern=NO_NUL)]
Line = Annotated[str, Field(pattern=NO_NUL)]
_Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_dated)]
At = Annotated[float, Field(ge=0, le=YEAR_9999)] | _Moment
_Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Text = Annotated[str, Field(min_length=1, strict=True)]
_Choice = Annotated[int, Field(ge=0, strict=True, le=1_000)]


def _one(value: int) -> int:
    if value not in (1, -1):
        raise ValueError("neither 1 nor -1")
    return value


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("not true")
    return value


# no Literals: to Python, true is 1
_Thumb = Annotated[int, Field(strict=True), AfterValidator(_one), WithJsonSchema({"enum": [1, -1]})]
_True = Annotated[bool, Field(strict=True), AfterValidator(_true), WithJsonSchema({"const": True})]


_Source = Literal["human", "implicit", "judge", "verifier"]


class _Said(BaseModel):
    """The fields of every feedback. Where it is about one exchange, ``exchange_id`` is the answer's id."""

    model_config = STRICT
    exchange_id: Name | None = None
    episode_id: Name | None = None
    choice: _Choice = 0
    source: _Source = "human"
    user: Name | None = None
    comment: Line | None = None
    id: Name | None = None
    at: At | None = None
    supersedes: Name | None = None
    metadata: Annotated[dict[str, Any], Field(default_factory=dict)]


class _Seen(_Said):
    """What a program saw a person do, unless it says otherwise."""

    source: _Source = "implicit"


class Thumbs(_Said):
    kind: Literal["thumbs"]
    value: _Thumb


class Rating(_Said):
    """``scale`` is kept in the metadata."""

    kind: Literal["rating"]
    value: _Number
    scale: Annotated[list[_Number], Field(min_length=2, max_length=2)]


class Metric(_Said):
    """``name`` is kept in the metadata."""

    kind: Literal["metric"]
    value: _Number
    name: Name


class Writing(_Said):
    kind: Literal["correction", "comment"]
    value: _Text


class Reworking(_Seen):
    kind: Literal["edit", "follow_up"]
    value: _Text


class Pair(BaseModel):
    """Two texts, or the indexes of two choices of one answer."""

    model_config = STRICT
    chosen: _Text | _Choice
    rejected: _Text | _Choice


def _comparable(pair: Pair) -> Pair:
    if type(pair.chosen) is not type(pair.rejected) or pair.chosen == pair.rejected:
        raise ValueError("not two different ones of a kind")
    return pair


class Preference(_Said):
    kind: Literal["preference"]
    value: Annotated[Pair, AfterValidator(_comparable)]


class Copy(_Seen):
    kind: Literal["copy"]
    value: _True | _Text | None = None


class Event(_Seen):
    kind: Literal["accept", "regenerate", "abandon"]
    value: _True | None = None


_Shape = Thumbs | Rating | Metric | Writing | Reworking | Preference | Copy | Event


class Opinion(RootModel[Annotated[_Shape, Field(discriminator="kind")]]):
    """One feedback as it is sent: a model for each shape of value, told apart by ``kind``."""


# What each kind takes, for whoever sent something else. An event without more to tell may leave its value out.
EXPECTED: Mapping[str, str] = {
    "thumbs": "the value 1 or -1",
    "rating": "a number as value, within 'scale': [low, high]",
    "metric": "a number as value, and the metric's 'name'",
    "correction": "the right answer, a text, as value",
    "preference": "the value {chosen, rejected}: two different texts, or the indexes of two choices",
    "comment": "a text as value",
    "accept": "the value true, or none",
    "copy": "the copied text, true, or no value",
    "edit": "the text after the edit as value",
    "regenerate": "the value true, or none",
    "abandon": "the value true, or none",
    "follow_up": "the text that followed as value",
}


def parse_opinion(row: Any, place: str, pseudonym_key: bytes | None, operator: bool = False) -> Feedback:
    """A Feedback of one row of the body; ``place`` is ``""``, or ``"[3]"`` within a list. ``operator`` says whether the
    caller may speak for judges and verifiers.

    Raises ApiError: 400 with a sentence that says what was expected, 403 for a source that is not the caller's."""
    try:
        found = Opinion.model_validate(row).root
    except ValidationError as error:
        raise _refusal(error.errors()[0], row, place) from error
    if found.exchange_id is None and found.episode_id is None:
        raise refused(place, "exchange_id", "name the exchange_id (the answer's id) or the episode_id.")
    if found.source in ("judge", "verifier") and not operator:
        sentence = (
            f"the source {found.source!r} needs an operator's key: send it with one, or as 'human' or 'implicit'."
        )
        raise refused(place, "source", sentence, 403)
    metadata, value = found.metadata, found.value
    if isinstance(found, Rating):
        _check_scale(found, place)
        metadata = {**metadata, "scale": found.scale}
    elif isinstance(found, Metric):
        metadata = {**metadata, "name": found.name}
    return Feedback(
        id=found.id or new_id("fb"),
        at=time.time() if found.at is None else seconds(found.at),
        kind=found.kind,
        value=value.model_dump() if isinstance(value, Pair) else value,
        exchange_id=found.exchange_id,
        episode_id=found.episode_id,
        choice=found.choice,
        source=found.source,
        user=pseudonym(found.user, pseudonym_key) if found.user else None,
        comment=found.comment,
        supersedes=found.supersedes,
        metadata=metadata,
    )


def refused(
    place: str, field: str, sentence: str, status: int = 400, what: str = "Feedback", code: str | None = None
) -> ApiError:
    """The error about ``field`` of the row at ``place``."""
    where, dot = (f"{what} {place}: ", ".") if place and field else (f"{what} {place}: " if place else "", "")
    return ApiError(status, where + sentence, place + dot + field or None, code)


def gone(error: ForgottenError, named: Sequence[str | None], field: str, what: str = "Feedback") -> ApiError:
    """The error about the first row that names an exchange of a forgotten person, of rows that name ``named``."""
    row = next(row for row, name in enumerate(named) if name in error.ids)
    place = f"[{row}]" if len(named) > 1 else ""
    return refused(place, field, sentence_on_forgotten(str(named[row])), 410, what, "forgotten")


def seconds(at: float | datetime) -> float:
    """Seconds since the epoch."""
    return at.timestamp() if isinstance(at, datetime) else at


def told(error: ErrorDetails) -> str:
    """What pydantic found wrong, in words."""
    if "at" in error["loc"]:  # it says what is wrong with the one form of the two that it tried first
        return "Input should be seconds since 1970, or a date and time with its zone as in 2026-01-31T12:00:00Z"
    return "it holds the character NUL" if error["type"] == "string_pattern_mismatch" else error["msg"]


def shown(value: Any) -> str:
    """A value as an error may quote it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _check_scale(found: Rating, place: str) -> None:
    low, high = found.scale
    if low >= high:
        raise refused(place, "scale", f"scale is [low, high] with low below high; it was {found.scale}.")
    if not low <= found.value <= high:
        raise refused(place, "value", f"the rating {found.value} lies outside its scale {found.scale}.")


def _refusal(error: ErrorDetails, row: Any, place: str) -> ApiError:
    """The sentence for what is wrong with a row."""
    if not isinstance(row, dict):
        return refused(place, "", f"the row: Input should be a JSON object; it was {shown(row)}.")
    given = cast(JsonObject, row)
    kind = given.get("kind")
    if not (isinstance(kind, str) and kind in EXPECTED):
        known = ", ".join(EXPECTED)
        return refused(place, "kind", f"kind: Input should be one of {known}; it was {shown(kind)}.")
    field = str(error["loc"][1])  # the first part names the kind's model
    if field == "value":
        return refused(place, field, f"kind {kind!r} takes {EXPECTED[kind]}; it was {shown(given.get('value'))}.")
    if error["type"] == "missing":
        return refused(place, field, f"kind {kind!r} needs {field!r}.")
    if error["type"] == "extra_forbidden" and field in ("scale", "name"):
        return refused(place, field, f"kind {kind!r} takes no {field!r}.")
    return refused(place, field, f"{field}: {told(error)}; it was {shown(error['input'])}.")
