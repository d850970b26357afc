"""``loopwise turn`` and ``status``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.progress import shown
from loopwise.cli.project import Project, opened, serving_engine, verifier_pool
from loopwise.errors import UsageError
from loopwise.store import attempts, exchanges, feedback, journal, leases, releases as stored
from loopwise.types import Engine, JsonObject, Progress

if TYPE_CHECKING:
    from loopwise.loop import Parts


def turn(dir: Dir = HERE, json: Json = False) -> None:
    """Runs one turn, or finishes the one that was cut short. Example: loopwise turn --dir my-project"""
    with opened(dir) as project:
        result = finish_or_begin(project, quiet=json)
    emit(result, json, _summary(result))
    if result["verdict"] != "passed":
        raise typer.Exit(1)


def finish_or_begin(project: Project, quiet: bool = True) -> JsonObject:
    """One turn under the lease, with everything it needs started and stopped around it."""
    with shown(quiet) as progress, assembled(project, progress) as parts:
        return run(parts)


def run(parts: Parts) -> JsonObject:
    """One turn, as the document that ``loopwise turn --json`` prints."""
    from loopwise.loop import turn as one_turn

    number, done = one_turn(parts)
    _score_headline(parts, done)
    stages = [{"stage": stage, **payload} for stage, payload in done.items()]
    made = {"dataset": done["curate"].get("dataset"), "candidate": done["train"].get("candidate")}
    report = f"loopwise report {number} --dir {parts.settings.dir}" if "checks" in done["gate"] else None
    outcome = {"verdict": done["release"]["verdict"], "release": done["release"]["release"]}
    why = done["train"].get("reason") or done["release"]["why"]
    return {"turn": number, "stages": stages, **made, "report": report, **outcome, "why": why}


def _score_headline(parts: Parts, done: dict[str, JsonObject]) -> None:
    """Scores on the final suite, of what served before the turn and of what serves now: what the page shows."""
    from loopwise.practice.scoring import scores_of

    with parts.store.reading() as conn:
        served = [stored.by_name(conn, name) for name in (done["gather"]["champion"], done["release"]["release"])]
    for suite in parts.suites:
        if suite.role == "final":
            for release in served:
                scores_of(parts.store, parts.server, parts.pool, release, suite, parts.progress)


@contextmanager
def assembled(project: Project, progress: Progress, server: Engine | None = None) -> Generator[Parts]:
    """What a turn needs: sampler, server, verifiers, suites, anchors."""
    if project.settings.engine.kind != "embedded":
        raise UsageError(
            'A turn trains and serves weights, which [engine] kind = "openai" cannot take in yet: use '
            "'loopwise practice' and 'loopwise evaluate' with it, or the embedded model for turns."
        )
    from loopwise.curate.anchors import load
    from loopwise.engine.embedded.local import LocalEngine
    from loopwise.loop import Parts

    settings = project.settings
    anchors = load(settings.dir / settings.anchors.path) if settings.anchors.path else []
    with verifier_pool() as pool, LocalEngine(settings.models) as sampler:
        if server is not None:
            yield Parts(settings, project.store, project.suites(), anchors, sampler, server, pool, progress)
            return
        with serving_engine(project) as started:
            yield Parts(settings, project.store, project.suites(), anchors, sampler, started, pool, progress)


def is_due(project: Project) -> bool:
    """Whether a turn was cut short, or enough feedback is new since the last one began."""
    with project.store.reading() as conn:
        last = journal.last_turn(conn)
        done = journal.done(conn, last)
        now = feedback.watermark(conn)
    if last and "release" not in done:
        return True
    return now - done.get("gather", {}).get("feedback", 0) >= project.settings.loop.every_feedback


def status(dir: Dir = HERE, json: Json = False) -> None:
    """Says what serves, what is being made and what waits. Example: loopwise status --dir my-project"""
    with opened(dir) as project:
        document = _status(project)
    counts = ", ".join(f"{n} {name}" for name, n in document["counts"].items())
    waiting = ", ".join(document["waiting"]) or "nothing"
    made = document["turn"]
    turn_text = f"{made['turn']}: {made['stage']}{' by ' + made['holder'] if made['holder'] else ''}"
    rows = [("serves", document["champion"]), ("turn", turn_text), ("waits for approval", waiting), ("store", counts)]
    emit(document, json, table(["what", "state"], rows))


def _status(project: Project) -> JsonObject:
    with project.store.reading() as conn:
        champion = stored.champion(conn)
        waiting = [release.name for release in stored.all_releases(conn) if release.state == "candidate"]
        last = journal.last_turn(conn)
        rows = journal.rows(conn, last)
        held = leases.current(conn, "turn")
        practised = attempts.counts(conn)
        counts = {
            "exchanges": exchanges.count(conn),
            "feedback": sum(feedback.count_by_kind(conn).values()),
            **practised,
        }
    stage = f"{rows[-1]['stage']} {rows[-1]['status']}" if rows else "none yet"
    return {
        "champion": champion.name if champion else None,
        "canary": None,
        "waiting": waiting,
        "turn": {"turn": last, "stage": stage, "holder": held},
        "counts": counts,
    }


def _summary(result: JsonObject) -> str:
    lines = [f"Turn {result['turn']}: {result['verdict']}; {result['release']} serves.", f"Dataset {result['dataset']}"]
    if result["verdict"] == "passed" and result["release"] != result["candidate"]:
        lines.append(f"{result['candidate']} waits for you: loopwise promote {result['candidate']}")
    if result["why"]:
        lines.append(str(result["why"]))
    if result["report"]:
        lines.append(f"The referee's report: {result['report']}")
    return "\n".join(lines)
