"""One request as the gateway understands it: what is passed on and to whom, what is recorded, which release answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loopwise.config import SERVED
from loopwise.gateway.champion import Snapshot
from loopwise.gateway.endpoints import Endpoint
from loopwise.gateway.errors import ApiError
from loopwise.gateway.identity import new_id, pseudonym
from loopwise.gateway.opinion import shown
from loopwise.gateway.upstream import Upstream
from loopwise.types import JsonObject, Release

_LONGEST_NAME = 512  # characters of an end-user or episode id
# Headers of the client's that the model's server is sent; never its credentials, which are for this gateway.
_KEPT_BY_SERVERS = {"chat.completions", "responses"}  # the calls that have OpenAI's field ``store``
_PASSED_ON = ("openai-beta", "traceparent", "tracestate")


@dataclass(frozen=True)
class Routes:
    """Who can answer: the served model's server with the releases, and further servers by alias."""

    upstream: Upstream
    aliases: Mapping[str, Upstream]
    snapshot: Snapshot


@dataclass(frozen=True)
class Target:
    """Who answers. ``proof`` is the fingerprint that the engine has to show; None where a server's claim is taken."""

    upstream: Upstream
    release: str
    model: str  # what the upstream is asked for
    arm: str
    proof: str | None

    def fingerprint(self, claim: Any, model: Any) -> str:
        """The fingerprint of the weights that answered, of what the server claims of itself.

        Raises ApiError 502 when our own engine does not prove that they are the release's: stale weights would
        otherwise answer in silence. Another server's claim is marked as one.
        """
        if self.proof is None:
            return f"upstream:{claim or model or self.model}"
        if claim != self.proof:
            raise ApiError(
                502,
                f"The engine answered for {self.release!r} with the weights {claim!r}, but the release is "
                f"{self.proof!r}: the answer is withheld; restart the engine.",
                code="wrong_weights",
            )
        return self.proof


@dataclass(frozen=True)
class Call:
    """``request`` is what is recorded, ``forwarded`` what the model's server is sent."""

    id: str
    at: float
    started: float  # on the monotonic clock
    endpoint: Endpoint
    model: str
    target: Target
    request: JsonObject
    forwarded: JsonObject
    headers: dict[str, str]
    user: str | None
    episode: str | None
    train: bool
    store: bool

    @property
    def streams(self) -> bool:
        return self.request.get("stream") is True and self.endpoint.assembly is not None


@dataclass(frozen=True)
class _Who:
    """Whom a request is from, and what may be done with it."""

    user: str | None
    episode: str | None
    train: bool
    store: bool


def parse_call(
    endpoint: Endpoint, body: Any, headers: Mapping[str, str], routes: Routes, pseudonym_key: bytes | None
) -> Call:
    """Raises ApiError: 400 for a malformed request, 404 for an unknown model, 501 for what the embedded model cannot
    do, 503 while there is no champion."""
    at, started = time.time(), time.perf_counter()
    request = _checked(body)
    endpoint.check(request)
    model: str = request["model"]
    target = _target(model, routes)
    if target.upstream.kind == "embedded" and not endpoint.embedded:
        sentence = f"The embedded model does not answer /v1/{endpoint.path}: name an alias of a server that does."
        raise ApiError(501, sentence, "model", "not_supported")
    who = _who(request, headers, pseudonym_key)
    for field in ("user", "safety_identifier"):
        if field in request:
            request[field] = pseudonym(request[field], pseudonym_key)
    forwarded = {**request, "model": target.model}
    if endpoint.name not in _KEPT_BY_SERVERS:
        forwarded.pop("store", None)  # no field of this call's: ours alone
    if "episode_id" in request.get("metadata", {}):
        rest = {key: value for key, value in request["metadata"].items() if key != "episode_id"}
        del forwarded["metadata"]
        forwarded |= {"metadata": rest} if rest else {}
    return Call(
        id=new_id("ex"),
        at=at,
        started=started,
        endpoint=endpoint,
        model=model,
        target=target,
        request=request,
        forwarded=forwarded,
        headers={name: headers[name] for name in _PASSED_ON if name in headers},
        **vars(who),
    )


def _checked(body: Any) -> JsonObject:
    """A copy of the body, with the few fields checked that the gateway itself reads; null counts as absent."""
    if not isinstance(body, dict):
        raise ApiError(400, "The request body must be a JSON object with a 'model'.")
    request: JsonObject = {**body}
    for field in ("user", "safety_identifier", "metadata", "store", "stream"):
        if request.get(field, ...) is None:
            del request[field]
    if not isinstance(request.get("model"), str):
        raise ApiError(400, f"'model' must be a string; write {SERVED!r} for the model that serves.", "model")
    for field, kind, name in (
        ("metadata", dict, "an object"),
        ("store", bool, "a boolean"),
        ("stream", bool, "a boolean"),
    ):
        if field in request and not isinstance(request[field], kind):
            raise ApiError(400, f"{field!r} must be {name}; it was {shown(request[field])}.", field)
    return request


def _target(model: str, routes: Routes) -> Target:
    upstream, snapshot, champion = routes.upstream, routes.snapshot, routes.snapshot.champion
    if model in routes.aliases:
        other = routes.aliases[model]
        return Target(other, f"external:{other.model}", other.model, "named", None)
    if champion is not None and model in (SERVED, champion.name):
        return _released(champion, upstream)
    if model == SERVED:
        raise ApiError(503, "No release is champion yet: run 'loopwise promote RELEASE'.", code="no_champion")
    if upstream.kind == "embedded" and model in snapshot.releases:
        return _released(snapshot.releases[model], upstream)
    names = [SERVED, *routes.aliases, *(snapshot.releases if upstream.kind == "embedded" else ())]
    sentence = f"There is no model {shown(model)}; it can be one of: {', '.join(names)}."
    raise ApiError(404, sentence, "model", "model_not_found")


def _released(release: Release, upstream: Upstream) -> Target:
    arm = "champion" if release.state == "champion" else "named"
    if upstream.kind == "embedded":
        return Target(upstream, release.name, release.name, arm, release.fingerprint)
    return Target(upstream, release.name, upstream.model, arm, None)


def _who(request: JsonObject, headers: Mapping[str, str], pseudonym_key: bytes | None) -> _Who:
    users = [_name(request[field], field) for field in ("user", "safety_identifier") if field in request]
    said = (headers.get("x-loopwise-episode") or None, request.get("metadata", {}).get("episode_id"))
    episodes = [_name(episode, "metadata.episode_id") for episode in said if episode is not None]
    store = request.get("store", True)
    return _Who(
        user=pseudonym(users[0], pseudonym_key) if users else None,
        episode=episodes[0] if episodes else None,
        train=_train(headers.get("x-loopwise-train", "true")) and store,
        store=store,
    )


def _train(value: str) -> bool:
    """Anything but the two words is refused: a wish for privacy with a typing error must not pass for consent."""
    word = value.strip().lower()
    if word not in ("true", "false"):
        raise ApiError(400, f"The header X-Loopwise-Train must be 'true' or 'false'; it was {shown(value)}.")
    return word == "true"


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or "\0" in value:
        raise ApiError(400, f"{field!r} must be a string of 1 to {_LONGEST_NAME} characters, none of them NUL.", field)
    return value
