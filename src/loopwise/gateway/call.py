"""One chat request as the gateway understands it: what is passed on, what is recorded, and which release answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from loopwise.gateway.champion import ALIAS, Snapshot
from loopwise.gateway.errors import ApiError
from loopwise.gateway.identity import new_id, pseudonym
from loopwise.gateway.upstream import Upstream
from loopwise.types import JsonObject, Release

_LONGEST_NAME = 512  # characters of an end-user or episode id


@dataclass(frozen=True)
class Call:
    """``request`` is what is recorded, ``forwarded`` what the model's server is sent."""

    id: str
    at: float
    started: float  # on the monotonic clock
    model: str
    release: Release
    arm: str
    request: JsonObject
    forwarded: JsonObject
    user: str | None
    episode: str | None
    train: bool
    keep_text: bool

    @property
    def streams(self) -> bool:
        return self.request.get("stream") is True


@dataclass(frozen=True)
class _Who:
    """Whom a request is from, and what may be done with it."""

    user: str | None
    episode: str | None
    train: bool
    keep_text: bool


def parse_call(
    body: Any, headers: Mapping[str, str], snapshot: Snapshot, upstream: Upstream, pseudonym_key: bytes | None
) -> Call:
    """Raises ApiError: 400 for a malformed request, 404 for an unknown model, 503 while there is no champion."""
    at, started = time.time(), time.perf_counter()
    request = _checked(body)
    model: str = request["model"]
    release = _release(model, snapshot, upstream)
    who = _who(request, headers, pseudonym_key)
    for field in ("user", "safety_identifier"):
        if field in request:
            request[field] = pseudonym(request[field], pseudonym_key)
    forwarded = {**request, "model": release.name if upstream.kind == "embedded" else upstream.model}
    if "episode_id" in request.get("metadata", {}):
        rest = {key: value for key, value in request["metadata"].items() if key != "episode_id"}
        del forwarded["metadata"]
        forwarded |= {"metadata": rest} if rest else {}
    arm = "champion" if release.state == "champion" else "named"
    names = (who.user, who.episode, who.train, who.keep_text)
    return Call(new_id("ex"), at, started, model, release, arm, request, forwarded, *names)


def _checked(body: Any) -> JsonObject:
    """A copy of the body, with the few fields checked that the gateway itself reads; null counts as absent."""
    if not isinstance(body, dict):
        raise ApiError(400, "The request body must be a JSON object with 'model' and 'messages'.")
    request: JsonObject = {**body}
    for field in ("user", "safety_identifier", "metadata", "store", "stream"):
        if request.get(field, ...) is None:
            del request[field]
    if not isinstance(request.get("model"), str):
        raise ApiError(400, f"'model' must be a string; write {ALIAS!r} for the model that serves.", "model")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "'messages' must be a list with at least one message.", "messages")
    for index, message in enumerate(cast(list[Any], messages)):
        if not isinstance(message, dict) or not isinstance(cast(JsonObject, message).get("role"), str):
            raise ApiError(
                400, f"messages[{index}] must be an object with a string 'role' and 'content'.", f"messages[{index}]"
            )
    for field, kind, name in (
        ("metadata", dict, "an object"),
        ("store", bool, "a boolean"),
        ("stream", bool, "a boolean"),
    ):
        if field in request and not isinstance(request[field], kind):
            raise ApiError(400, f"{field!r} must be {name}; it was {request[field]!r}.", field)
    return request


def _release(model: str, snapshot: Snapshot, upstream: Upstream) -> Release:
    champion = snapshot.champion
    if champion is not None and model in (ALIAS, champion.name):
        return champion
    if model == ALIAS:
        raise ApiError(503, "No release is champion yet: run 'loopwise promote RELEASE'.", code="no_champion")
    if upstream.kind == "embedded" and model in snapshot.releases:
        return snapshot.releases[model]
    names = ", ".join([ALIAS, *snapshot.releases]) if upstream.kind == "embedded" else ALIAS
    raise ApiError(404, f"There is no model {model!r}; it can be one of: {names}.", "model", "model_not_found")


def _who(request: JsonObject, headers: Mapping[str, str], pseudonym_key: bytes | None) -> _Who:
    users = [_name(request[field], field) for field in ("user", "safety_identifier") if field in request]
    episode = headers.get("x-loopwise-episode") or request.get("metadata", {}).get("episode_id")
    keep_text = request.get("store", True)
    return _Who(
        user=pseudonym(users[0], pseudonym_key) if users else None,
        episode=None if episode is None else _name(episode, "metadata.episode_id"),
        train=_train(headers.get("x-loopwise-train", "true")) and keep_text,
        keep_text=keep_text,
    )


def _train(value: str) -> bool:
    """Anything but the two words is refused: a wish for privacy with a typing error must not pass for consent."""
    word = value.strip().lower()
    if word not in ("true", "false"):
        raise ApiError(400, f"The header X-Loopwise-Train must be 'true' or 'false'; it was {value!r}.")
    return word == "true"


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise ApiError(400, f"{field!r} must be a string of 1 to {_LONGEST_NAME} characters.", field)
    return value
