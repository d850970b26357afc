"""``loopwise simulate`` and ``feedback``: people, simulated or real."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.progress import shown
from loopwise.cli.project import Project, gateway_url, opened, verifier_pool
from loopwise.errors import UsageError
from loopwise.types import JsonObject, Problem, Progress

if TYPE_CHECKING:
    from rich.table import Table

    from loopwise.people import Address, PopulationSettings
    from loopwise.verify.pool import VerifierPool


def simulate(
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 40,
    events: Annotated[int, typer.Option(min=1, help="How many questions they ask in all.")] = 400,
    population: Annotated[str, typer.Option(help="Who they are: a built-in name, or a TOML file.")] = "default",
    url: Annotated[str | None, typer.Option(help="The gateway; default: this project's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Other people, other questions.")] = None,
    verified: Annotated[float, typer.Option(min=0, max=1, help="Share of answers that a checker judges, too.")] = 0.0,
    truth: Annotated[Path | None, typer.Option(help="Write the truth about each feedback here, as JSON lines.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the gateway's API key.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Lets simulated people with known truth use a running gateway. Example: loopwise simulate --people 40
    --events 400 --population hostile"""
    from loopwise.people import Address, load

    settings, key = load(population), _key(api_key_env)
    chosen = int(time.time()) if seed is None else seed
    with opened(dir) as project, shown(json) as progress, verifier_pool() as pool, _written(truth) as lines:
        address = Address(url or gateway_url(project.settings.gateway), key)
        size = (people, events, chosen)
        counts = simulated(project, pool, address, size, progress, Extras(settings, verified, lines))
    emit(counts, json, by_group(counts))


@dataclass(frozen=True)
class Extras:
    """Other people than the demo's, a checker's share, and where the truth is written."""

    population: PopulationSettings | None = None
    verified: float = 0.0
    truth: TextIO | None = None


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise UsageError(f"--api-key-env names the variable {variable!r}, which is not set: export it first.")
    return os.environ[variable]


def _written(path: Path | None) -> Any:
    return nullcontext() if path is None else path.open("w", encoding="utf-8")


def simulated(
    project: Project,
    pool: VerifierPool,
    address: Address,
    size: tuple[int, int, int],
    progress: Progress,
    extras: Extras | None = None,
) -> JsonObject:
    """``size`` is (people, events, seed). They ask the target suites' kinds of questions, never a suite's own; the seed
    decides what is asked, the project's seed who the people are."""
    from loopwise.people import Use, load, population, simulate as use
    from loopwise.practice.sources import PEOPLE, mixed

    people, events, seed = size
    sources = [s for suite in project.settings.suites.values() if suite.role == "target" for s in suite.sources]
    if not sources:
        raise UsageError("People need something to ask: add a suite with the role target to loopwise.toml.")
    problems = list(islice(mixed(sources, seed, PEOPLE), events))
    extras = extras or Extras()
    settings = extras.population or load("default")
    crowd = population(people, project.settings.loop.seed, settings)
    wanted = Use(problems, crowd, events, seed, settings.days, extras.verified)

    def judge(pairs: Sequence[tuple[Problem, str]]) -> list[bool]:
        return [verdict.right for verdict in pool.judge(pairs)]

    counts = use(address, wanted, judge=judge, truth=extras.truth, progress=progress)
    return asyncio.run(counts).as_dict()


def by_group(counts: JsonObject) -> Table:
    """A row for each group and kind of feedback, and what the whole took."""
    rows: list[tuple[str, ...]] = []
    for name, group in counts["by_group"].items():
        first = (name, str(group["people"] or ""), str(group["events"] or ""))
        said = [(kind, str(each["n"]), _share(each)) for kind, each in group["said"].items()] or [("", "", "")]
        rows += [(*(first if i == 0 else ("", "", "")), *each) for i, each in enumerate(said)]
    title = (
        f"{counts['events']} questions, {counts['right']} answered rightly, {counts['errors']} requests failed; "
        f"{counts['seconds']:.1f} s, {counts['events_per_s']:.0f} a second"
    )
    if counts["poisoned"]:
        title += f"; {sum(counts['poisoned'].values())} poisoned feedback from {len(counts['poisoned'])} accounts"
    return table(["group", ">people", ">questions", "feedback", ">n", ">false"], rows, title)


def _share(said: JsonObject) -> str:
    return f"{said['false']} ({100 * said['false'] / said['n']:.0f} %)" if said["n"] else ""


def feedback(
    exchange_id: Annotated[str, typer.Argument(help="The id of the answer that is meant.")],
    thumbs: Annotated[int | None, typer.Option(min=-1, max=1, help="1 or -1.")] = None,
    correction: Annotated[str | None, typer.Option(help="The right answer.")] = None,
    comment: Annotated[str | None, typer.Option(help="Anything else.")] = None,
    user: Annotated[str | None, typer.Option(help="Who says so.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Gives feedback on an answer. Example: loopwise feedback ex_… --thumbs 1"""
    from loopwise.gateway.errors import ApiError
    from loopwise.gateway.opinion import parse_opinion
    from loopwise.store import exchanges, feedback as stored, meta

    given = {"thumbs": thumbs, "correction": correction, "comment": comment}
    items = [
        {"exchange_id": exchange_id, "kind": kind, "value": value} for kind, value in given.items() if value is not None
    ]
    if not items:
        raise UsageError("There is nothing to record: give --thumbs, --correction or --comment.")
    with opened(dir) as project, project.store.writing() as conn:
        key = meta.pseudonym_key(conn) if project.settings.gateway.pseudonyms else None
        try:
            rows = [parse_opinion({**item, "user": user}, "", key) for item in items]
        except ApiError as error:
            raise UsageError(str(error)) from error
        stored.add(conn, rows)
        known = bool(exchanges.known(conn, [exchange_id]))
    where = "recorded" if known else "recorded; it is joined when an exchange of that id comes in"
    emit({"ids": [row.id for row in rows], "known": known}, json, f"{len(rows)} {where}.")
