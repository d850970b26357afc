"""The application: routes, and what opens and closes with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from loopwise.config import GatewaySettings
from loopwise.gateway.champion import Served
from loopwise.gateway.chat import chat
from loopwise.gateway.errors import HANDLERS
from loopwise.gateway.feedback import feedback
from loopwise.gateway.guard import LoopbackGuard
from loopwise.gateway.health import healthz, readyz
from loopwise.gateway.metrics import Metrics
from loopwise.gateway.models import models
from loopwise.gateway.observer import Observer
from loopwise.gateway.record import Recorder
from loopwise.gateway.state import Gateway
from loopwise.gateway.upstream import Upstream, open_session
from loopwise.page.routes import page_routes
from loopwise.store import Store, meta
from loopwise.store.writer import GroupWriter

_DEFAULTS = GatewaySettings()


def create_app(
    store: Store,
    upstream: Upstream,
    aliases: Mapping[str, Upstream] | None = None,
    settings: GatewaySettings = _DEFAULTS,
    observers: Sequence[Observer] = (),
) -> Starlette:
    """The gateway in front of ``upstream`` and further models by alias, recording into ``store``, which stays open.

    Raises StoreError.
    """
    with store.writing() as conn:
        pseudonym_key = meta.pseudonym_key(conn) if settings.pseudonyms else None
    metrics = Metrics(observers)
    observers = (metrics, *observers)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        writer = GroupWriter(store)
        async with open_session() as session:
            app.state.gateway = Gateway(
                store=store,
                settings=settings,
                upstream=upstream,
                aliases=aliases or {},
                session=session,
                writer=writer,
                recorder=Recorder(writer, observers),
                served=Served(store),
                pseudonym_key=pseudonym_key,
                observers=observers,
            )
            yield
        writer.close()

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/feedback", feedback, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics.endpoint),
        *page_routes(store),
    ]
    return Starlette(
        routes=routes, lifespan=lifespan, middleware=[Middleware(LoopbackGuard)], exception_handlers=HANDLERS
    )
