"""The application: routes, and what opens and closes with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from loopwise.config import GatewaySettings
from loopwise.gateway.access import Access
from loopwise.gateway.answer import answering
from loopwise.gateway.brought import bring
from loopwise.gateway.champion import Served
from loopwise.gateway.endpoints import ENDPOINTS
from loopwise.gateway.errors import HANDLERS
from loopwise.gateway.feedback import feedback
from loopwise.gateway.health import healthz, readyz
from loopwise.gateway.keyring import Keyring
from loopwise.gateway.limits import Limits
from loopwise.gateway.metrics import Metrics
from loopwise.gateway.models import model, models
from loopwise.gateway.observer import Observer
from loopwise.gateway.openapi import openapi
from loopwise.gateway.readiness import Readiness
from loopwise.gateway.record import Recorder
from loopwise.gateway.seen import Seen
from loopwise.gateway.state import Gateway
from loopwise.gateway.stored import STORED, stored_answer
from loopwise.gateway.tensorzero import tensorzero_feedback
from loopwise.gateway.upstream import Upstream, open_session
from loopwise.page.routes import page_routes
from loopwise.store import Store, meta
from loopwise.store.retention import keep_expiring
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
        secret = meta.pseudonym_key(conn)
    keyring = Keyring(store)
    limits = Limits(settings.requests)
    metrics = Metrics(limits, observers)
    observers = (metrics, *observers)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        writer = GroupWriter(store, Seen(secret))
        recorder = Recorder(store, writer, secret, settings.on_store_failure == "refuse", observers)
        async with open_session() as session:
            app.state.gateway = Gateway(
                store=store,
                settings=settings,
                upstream=upstream,
                aliases=aliases or {},
                session=session,
                writer=writer,
                recorder=recorder,
                served=Served(store),
                readiness=Readiness(store, writer, upstream, session),
                pseudonym_key=secret if settings.pseudonyms else None,
                observers=observers,
            )
            expiring = asyncio.create_task(keep_expiring(store, settings.retention_days))
            yield
            expiring.cancel()
            await asyncio.wait([expiring])
        await keyring.close()
        await asyncio.to_thread(writer.close)
        for observer in observers:
            await asyncio.to_thread(observer.close)

    access = Middleware(Access, keyring=keyring, limits=limits, origins=settings.origins)
    routes = _routes(store, metrics)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[access], exception_handlers=HANDLERS)


def _routes(store: Store, metrics: Metrics) -> list[BaseRoute]:
    """Looked through in this order: what is asked most stands first."""
    return [
        Route("/v1/feedback", feedback, methods=["POST"]),
        *(Route(f"/v1/{endpoint.path}", answering(endpoint), methods=["POST"]) for endpoint in ENDPOINTS),
        *(Route(path, stored_answer, methods=methods) for path, methods in STORED),
        Route("/v1/models", models),
        Route("/v1/models/{id:path}", model),
        Route("/feedback", tensorzero_feedback, methods=["POST"]),
        Route("/v1/exchanges", bring, methods=["POST"]),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics.endpoint),
        Route("/openapi.json", openapi),
        *page_routes(store),
    ]
