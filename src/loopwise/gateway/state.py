"""What lives as long as the gateway, made at start-up and handed to every route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from starlette.requests import Request

from loopwise.config import GatewaySettings
from loopwise.gateway.champion import Served
from loopwise.gateway.observer import Observer
from loopwise.gateway.readiness import Readiness
from loopwise.gateway.record import Recorder
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.store.writer import GroupWriter


@dataclass(frozen=True)
class Gateway:
    """The open ends of a running gateway. ``upstream`` is the served model's, ``aliases`` the others by alias."""

    store: Store
    settings: GatewaySettings
    upstream: Upstream
    aliases: Mapping[str, Upstream]
    session: aiohttp.ClientSession
    writer: GroupWriter
    recorder: Recorder
    served: Served
    readiness: Readiness
    pseudonym_key: bytes | None  # None: end users are stored as they are named
    observers: Sequence[Observer]


def gateway_of(request: Request) -> Gateway:
    return request.app.state.gateway
