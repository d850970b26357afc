"""Feedback as it comes over the wire: which fields there are, and which value each kind takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from loopwise.gateway.errors import ApiError
from loopwise.gateway.identity import new_id, pseudonym
from loopwise.types import Feedback, FeedbackKind, JsonObject

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Name = Annotated[str, Field(min_length=1, max_length=512)]
_Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Text = Annotated[str, Field(min_length=1, strict=True)]
_Choice = Annotated[int, Field(ge=0, strict=True, le=1_000)]


class _Preference(BaseModel):
    """Two texts, or the indexes of two choices of one answer."""

    model_config = _STRICT
    chosen: _Text | _Choice
    rejected: _Text | _Choice


def _comparable(value: _Preference) -> _Preference:
    if type(value.chosen) is not type(value.rejected) or value.chosen == value.rejected:
        raise ValueError("not two different ones of a kind")
    return value


def _one(value: int) -> int:
    if value not in (1, -1):
        raise ValueError("neither 1 nor -1")
    return value


# What each kind takes, and how to say so. An event without more to tell may leave its value out.
_VALUES: Mapping[FeedbackKind, tuple[TypeAdapter[Any], str]] = {
    "thumbs": (TypeAdapter(Annotated[int, Field(strict=True), AfterValidator(_one)]), "the value 1 or -1"),
    "rating": (TypeAdapter(_Number), "a number as value, within 'scale': [low, high]"),
    "metric": (TypeAdapter(_Number), "a number as value, and the metric's 'name'"),
    "correction": (TypeAdapter(_Text), "the right answer, a text, as value"),
    "preference": (
        TypeAdapter(Annotated[_Preference, AfterValidator(_comparable)]),
        "the value {chosen, rejected}: two different texts, or the indexes of two choices",
    ),
    "comment": (TypeAdapter(_Text), "a text as value"),
    "accept": (TypeAdapter(Literal[True] | None), "the value true, or none"),
    "copy": (TypeAdapter(Literal[True] | _Text | None), "the copied text, true, or no value"),
    "edit": (TypeAdapter(_Text), "the text after the edit as value"),
    "regenerate": (TypeAdapter(Literal[True] | None), "the value true, or none"),
    "abandon": (TypeAdapter(Literal[True] | None), "the value true, or none"),
    "follow_up": (TypeAdapter(_Text), "the text that followed as value"),
}


class _Opinion(BaseModel):
    """The fields of one feedback. ``scale`` and ``name`` are kept in its metadata."""

    model_config = _STRICT
    kind: FeedbackKind
    value: Any = None
    exchange_id: _Name | None = None
    episode_id: _Name | None = None
    choice: _Choice = 0
    source: Literal["human", "implicit"] = "human"
    user: _Name | None = None
    comment: str | None = None
    id: _Name | None = None
    at: Annotated[float, Field(ge=0)] | Annotated[AwareDatetime, Field(strict=False)] | None = None
    supersedes: _Name | None = None
    metadata: dict[str, Any] = {}
    scale: Annotated[list[_Number], Field(min_length=2, max_length=2)] | None = None
    name: _Name | None = None


def parse_opinion(row: Any, place: str, pseudonym_key: bytes | None) -> Feedback:
    """A Feedback of one row of the body; ``place`` is ``""``, or ``"[3]"`` within a list.

    Raises ApiError 400 with a sentence that says what was expected."""
    where = f"Feedback {place}: " if place else ""
    try:
        found = _Opinion.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if isinstance(part, int) or part in _Opinion.model_fields)
        name = field or ".".join(map(str, first["loc"])) or "the row"
        raise ApiError(400, f"{where}{name}: {first['msg']}; it was {first['input']!r}.", place + name) from error
    if found.exchange_id is None and found.episode_id is None:
        raise ApiError(400, f"{where}name the exchange_id (the answer's id) or the episode_id.", place + "exchange_id")
    return Feedback(
        id=found.id or new_id("fb"),
        at=_seconds(found.at),
        kind=found.kind,
        value=_value(found, where, place),
        exchange_id=found.exchange_id,
        episode_id=found.episode_id,
        choice=found.choice,
        source=found.source,
        user=pseudonym(found.user, pseudonym_key) if found.user else None,
        comment=found.comment,
        supersedes=found.supersedes,
        metadata=_metadata(found, where, place),
    )


def _value(found: _Opinion, where: str, place: str) -> Any:
    adapter, expected = _VALUES[found.kind]
    try:
        value = adapter.validate_python(found.value)
    except ValidationError as error:
        sentence = f"{where}kind {found.kind!r} takes {expected}; it was {found.value!r}."
        raise ApiError(400, sentence, place + "value") from error
    return value.model_dump() if isinstance(value, BaseModel) else value


def _metadata(found: _Opinion, where: str, place: str) -> JsonObject:
    """The caller's metadata with ``scale`` or ``name``, which belong to one kind each and are needed there."""
    extra: JsonObject = {}
    for field, kind, value in (("scale", "rating", found.scale), ("name", "metric", found.name)):
        if (found.kind == kind) != (value is not None):
            verb = "needs" if found.kind == kind else "takes no"
            raise ApiError(400, f"{where}kind {found.kind!r} {verb} {field!r}.", place + field)
        extra |= {field: value} if value is not None else {}
    if found.scale and not found.scale[0] <= found.value <= found.scale[1]:
        sentence = f"{where}the rating {found.value} lies outside its scale {found.scale}."
        raise ApiError(400, sentence, place + "value")
    return {**found.metadata, **extra}


def _seconds(at: float | datetime | None) -> float:
    if at is None:
        return time.time()
    return at.timestamp() if isinstance(at, datetime) else at
