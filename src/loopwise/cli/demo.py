"""``loopwise demo``: the whole loop on the embedded model, from a mediocre base to a release that is proved better."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.demo_view import DemoView, closing
from loopwise.cli.init import created
from loopwise.cli.options import Json
from loopwise.cli.output import emit, scored
from loopwise.cli.people import simulated
from loopwise.cli.plot import score_by_release
from loopwise.cli.project import Project
from loopwise.cli.templates import embedded_toml
from loopwise.cli.turn import assembled, run
from loopwise.errors import UsageError
from loopwise.store import exchanges, journal
from loopwise.types import JsonObject, Progress, Release

if TYPE_CHECKING:
    from loopwise.loop import Parts

_PEOPLE, _EVENTS = 40, 400  # each turn: that many people ask that many questions

Folder = Annotated[Path, typer.Option("--dir", help="The demo's project; one that is there already is continued.")]
Turns = Annotated[int, typer.Option(min=1, max=100, help="How many turns in all.")]
Seed = Annotated[int, typer.Option(min=0, help="Other questions, other people, other attempts.")]


def demo(dir: Folder = Path("demo"), turns: Turns = 5, seed: Seed = 0, json: Json = False) -> None:
    """Runs the whole loop: serves, simulated people use it, it practises, retrains, and releases what is proved
    better. Example: loopwise demo --dir demo --turns 5"""
    began = time.monotonic()
    from loopwise.compute.services import free_port

    with created(dir, embedded_toml((free_port(), free_port()), "auto", seed)) as project, DemoView(json) as view:
        if project.settings.engine.kind != "embedded":
            raise UsageError(f"{project.dir} is a project in front of a model of yours: give the demo another --dir.")
        if project.settings.loop.seed != seed:
            raise UsageError(
                f"{project.dir} was made with --seed {project.settings.loop.seed}: give that, or another --dir."
            )
        with services(project, view.progress) as urls, assembled(project, view.progress, urls["engine"]) as parts:
            base = _measured(parts, project.release("tiny@0"))
            view.base(base, urls["gateway"])
            rows = [_turn(parts, project, number, urls["gateway"], view) for number in range(1, turns + 1)]
            champion = _measured(parts, project.champion())
        picture = project.dir / "score_by_release.png"
        shown = [{"label": "base", **base}, *({"label": f"turn {row['turn']}", **row} for row in rows)]
        score_by_release(picture, shown, "Loopwise demo: score by release")
    seconds = time.monotonic() - began
    document = {"turns": rows, "base": base, "champion": champion, "seconds": seconds, "plot": str(picture)}
    emit(document, json, closing(document, project.dir))


@contextmanager
def services(project: Project, progress: Progress) -> Generator[JsonObject]:
    """Engine and gateway as processes of their own, for as long as the block runs."""
    from loopwise.compute.services import Service
    from loopwise.engine.openai import OpenAIEngine

    settings = project.settings
    ports = {"engine": settings.engine.port, "gateway": settings.gateway.port}
    with ExitStack() as stack:
        started: dict[str, Service] = {}
        for name in ports:
            args = ["up", "--only", name, "--dir", str(project.dir)]
            started[name] = Service(name, args, project.dir / "logs" / f"{name}.log")
            stack.callback(started[name].stop)
        for done, (name, port) in enumerate(ports.items()):
            progress("starting", done, len(ports))
            started[name].wait_ready(f"http://127.0.0.1:{port}/healthz")
        progress("starting", len(ports), len(ports))
        gateway = f"http://127.0.0.1:{ports['gateway']}"
        yield {"engine": OpenAIEngine(f"http://127.0.0.1:{ports['engine']}"), "gateway": gateway}


def _turn(parts: Parts, project: Project, number: int, gateway: str, view: DemoView) -> JsonObject:
    """People use what serves, then one turn. A turn that an earlier run finished is read from the store."""
    from loopwise.people import Address

    began = time.monotonic()
    with project.store.reading() as conn:
        done = journal.done(conn, number)
        asked = exchanges.count(conn)
    if asked < number * _EVENTS and "gather" not in done:
        size = (_PEOPLE, _EVENTS, project.settings.loop.seed * 1_000 + number)
        simulated(project, parts.pool, Address(gateway), size, parts.progress)
    if "release" not in done:
        run(parts)
        with project.store.reading() as conn:
            done = journal.done(conn, number)
    measured = _measured(parts, project.release(done["release"]["release"]))
    row = {"turn": number, "verdict": done["release"]["verdict"], **measured, "seconds": time.monotonic() - began}
    view.turn(row)
    return row


def _measured(parts: Parts, release: Release) -> JsonObject:
    """The release's scores on the final suite and the anchors, asked of the server over HTTP."""
    from loopwise.practice.scoring import scores_of
    from loopwise.stats.intervals import mean_interval

    found = {
        suite.name: scored(
            mean_interval(
                [
                    float(s >= 1.0)
                    for s in scores_of(parts.store, parts.server, parts.pool, release, suite, parts.progress).scores
                ]
            )
        )
        for suite in parts.suites
        if suite.role in ("final", "anchor")
    }
    target = found.pop("final")
    return {"release": release.name, "target": target, "anchors": found}
