"""``loopwise up``: gateway with page, engine, and turns by the policy in ``[loop]``."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loopwise import config
from loopwise.cli.options import HERE, Dir
from loopwise.cli.output import emit
from loopwise.cli.project import Project, api_key, gateway_url, opened, refuse_busy_port
from loopwise.compute.parent import exit_with_parent
from loopwise.errors import ExternalError, LoopwiseError, UsageError

if TYPE_CHECKING:
    from loopwise.gateway.telemetry import Telemetry

_POLL_S = 2.0
_GATEWAY_LOCK_S = 3.0  # people wait for their answers meanwhile


def up(
    dir: Dir = HERE,
    only: Annotated[str | None, typer.Option(help="gateway, engine or worker: that process alone.")] = None,
    engine_port: Annotated[int | None, typer.Option(help="In place of [engine] port.")] = None,
) -> None:
    """Serves. Example: loopwise up --dir my-project"""
    exit_with_parent()
    if only not in (None, "gateway", "engine", "worker"):
        raise UsageError(f"--only {only!r} is no process of Loopwise: choose gateway, engine or worker.")
    if only == "engine":
        _engine(config.load(dir), engine_port)
        return
    if only == "gateway":
        with opened(dir, _GATEWAY_LOCK_S) as project:
            _gateway(project)
        return
    with opened(dir) as project:
        if only == "worker":
            _worker(project)
        else:
            _supervise(project)


def _engine(settings: config.Settings, port: int | None) -> None:
    if settings.engine.kind != "embedded":
        raise UsageError('There is no engine to start: [engine] kind = "openai" names a server of your own.')
    chosen = port or settings.engine.port
    refuse_busy_port("127.0.0.1", chosen, "[engine] port")
    from loopwise.engine.embedded.server import serve

    serve(settings.models, "127.0.0.1", chosen)


def _gateway(project: Project) -> None:
    from loopwise.gateway.app import create_app
    from loopwise.gateway.server import serve
    from loopwise.gateway.traceparent import TraceParent
    from loopwise.gateway.upstream import Upstream
    from loopwise.store.keys import may_serve_others

    settings = project.settings
    engine = settings.engine
    if engine.kind == "embedded":
        served = Upstream(f"http://127.0.0.1:{engine.port}", None, "embedded", "", **_patience(engine))
    else:
        key = api_key(engine, "[engine]")
        served = Upstream(str(engine.url), key, "openai", str(engine.model), **_patience(engine))
    aliases = {
        name: Upstream(alias.url, api_key(alias, section), "openai", alias.model, **_patience(alias), section=section)
        for name, alias in settings.aliases.items()
        for section in [f"[aliases.{name}]"]
    }
    told = _telemetry(settings.telemetry, served.url, {name: alias.url for name, alias in aliases.items()})
    app = create_app(project.store, served, aliases, settings.gateway, [told] if told else [])
    if told:
        app.add_middleware(TraceParent)
    with project.store.reading() as conn:
        keys = may_serve_others(conn)
    serve(app, settings.gateway, keys)


def _telemetry(settings: config.TelemetrySettings, url: str, aliases: dict[str, str]) -> Telemetry | None:
    """Raises MissingExtraError."""
    if settings.otlp_url is None:
        return None
    from loopwise.gateway.genai import Server
    from loopwise.gateway.otlp import Collector
    from loopwise.gateway.telemetry import Telemetry

    servers = {name: Server.of(alias) for name, alias in aliases.items()}
    return Telemetry(Collector(settings.otlp_url), Server.of(url), servers, settings.text)


def _patience(settings: config.UpstreamSettings) -> dict[str, Any]:
    return settings.model_dump(include=set(config.UpstreamSettings.model_fields))


def _worker(project: Project) -> None:
    """Begins a turn whenever enough feedback is new; a turn that was cut short is finished first."""
    from loopwise.cli.turn import finish_or_begin, is_due

    stop = _stop_event()
    while not stop.wait(_POLL_S):
        try:
            if is_due(project):
                finish_or_begin(project)
        except LoopwiseError as error:
            emit({}, False, f"The turn was not finished: {error} It is tried again in a minute.")
            stop.wait(60.0)


def _supervise(project: Project) -> None:
    from loopwise.compute.services import Service

    settings = project.settings
    if settings.telemetry.otlp_url:
        import_module("loopwise.gateway.otlp")  # a missing extra is told here, not in the gateway's log
    refuse_busy_port(settings.gateway.host, settings.gateway.port, "[gateway] port")
    stop = _stop_event()
    logs = project.dir / "logs"
    names = ["gateway"]
    if settings.engine.kind == "embedded":
        names = ["engine", "gateway", "worker"]
        refuse_busy_port("127.0.0.1", settings.engine.port, "[engine] port")
    with ExitStack() as stack:
        services: list[Service] = []
        for name in names:
            service = Service(name, ["up", "--only", name, "--dir", str(project.dir)], logs / f"{name}.log")
            stack.callback(service.stop)
            services.append(service)
        url = gateway_url(settings.gateway)
        services[names.index("gateway")].wait_ready(f"{url}/healthz")
        emit({}, False, f"Loopwise serves {project.champion().name}.\n  page  {url}/\n  API   {url}/v1\n  logs  {logs}")
        while not stop.wait(0.5):
            for service in services:
                if service.process.poll() is not None:
                    raise ExternalError(f"The {service.name} ended unexpectedly; see {service.log}.")


def _stop_event() -> threading.Event:
    stop = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
