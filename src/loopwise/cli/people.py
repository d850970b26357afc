"""``loopwise simulate`` and ``feedback``: people, simulated or real."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.progress import shown
from loopwise.cli.project import Project, gateway_url, opened, verifier_pool
from loopwise.errors import UsageError
from loopwise.types import JsonObject, Progress

if TYPE_CHECKING:
    from loopwise.people import Address
    from loopwise.verify.pool import VerifierPool


def simulate(
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 40,
    events: Annotated[int, typer.Option(min=1, help="How many questions they ask in all.")] = 400,
    url: Annotated[str | None, typer.Option(help="The gateway; default: this project's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Other people, other questions.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the gateway's API key.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Lets simulated people with known truth use a running gateway. Example: loopwise simulate --people 40
    --events 400"""
    from loopwise.people import Address

    key = _key(api_key_env)
    with opened(dir) as project, shown(json) as progress, verifier_pool() as pool:
        address = Address(url or gateway_url(project.settings.gateway), key)
        chosen = int(time.time()) if seed is None else seed
        counts = simulated(project, pool, address, (people, events, chosen), progress)
    rows = [(name, value) for name, value in counts.items() if not isinstance(value, dict)]
    emit(counts, json, table(["what", ">count"], [(n, f"{v:.1f}" if isinstance(v, float) else v) for n, v in rows]))


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise UsageError(f"--api-key-env names the variable {variable!r}, which is not set: export it first.")
    return os.environ[variable]


def simulated(
    project: Project, pool: VerifierPool, address: Address, size: tuple[int, int, int], progress: Progress
) -> JsonObject:
    """``size`` is (people, events, seed). They ask the target suites' kinds of questions, never a suite's own; the seed
    decides what is asked, the project's seed who the people are."""
    from loopwise.people import population, simulate as use
    from loopwise.practice.sources import PEOPLE, mixed

    people, events, seed = size
    sources = [s for suite in project.settings.suites.values() if suite.role == "target" for s in suite.sources]
    if not sources:
        raise UsageError("People need something to ask: add a suite with the role target to loopwise.toml.")
    problems = list(islice(mixed(sources, seed, PEOPLE), events))

    crowd = population(people, project.settings.loop.seed)
    counts = asyncio.run(use(address, problems, crowd, events, seed, is_right=pool.is_right, progress=progress))
    return counts.as_dict()


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
