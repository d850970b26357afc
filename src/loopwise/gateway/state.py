"""What lives as long as the gateway, made at start-up and handed to every route."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from starlette.requests import Request

from loopwise.gateway.champion import Served
from loopwise.gateway.record import Recorder
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.store.writer import GroupWriter


@dataclass(frozen=True)
class Gateway:
    """The open ends of a running gateway."""

    store: Store
    upstream: Upstream
    session: aiohttp.ClientSession
    writer: GroupWriter
    recorder: Recorder
    served: Served
    pseudonym_key: bytes


def gateway_of(request: Request) -> Gateway:
    return request.app.state.gateway
