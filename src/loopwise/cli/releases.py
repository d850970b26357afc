"""``loopwise releases``, ``promote`` and ``rollback``: history and the levers."""

from __future__ import annotations

from typing import Annotated

import typer

from loopwise.cli.options import HERE, Dir, Json, who
from loopwise.cli.output import clock, emit, table
from loopwise.cli.project import opened
from loopwise.store import releases as stored
from loopwise.types import JsonObject, Release

Why = Annotated[str, typer.Option(help="The reason, for the history.")]


def releases(dir: Dir = HERE, json: Json = False) -> None:
    """Lists every release and its history. Example: loopwise releases --dir my-project"""
    with opened(dir) as project, project.store.reading() as conn:
        found, history = stored.all_releases(conn), stored.history(conn)
    rows = [
        (release.name, release.state, release.parent or "-", release.fingerprint[:19], clock(release.at))
        for release in found
    ]
    document: JsonObject = {"releases": [_row(release) for release in found], "history": history}
    emit(document, json, table(["name", "state", "parent", "fingerprint", "made"], rows))


def promote(
    release: Annotated[str, typer.Argument(help="The release's name.")],
    dir: Dir = HERE,
    json: Json = False,
    why: Why = "by hand",
) -> None:
    """Makes a release the champion. Example: loopwise promote tiny@3 --dir my-project"""
    from loopwise.release import promote as lever

    with opened(dir) as project:
        found = lever(project.store, release, who(), why)
    emit(_row(found), json, f"{found.name} is the champion now; a running gateway serves it within a second.")


def rollback(dir: Dir = HERE, json: Json = False, why: Why = "by hand") -> None:
    """Takes the champion back and serves the one before it. Example: loopwise rollback --dir my-project"""
    from loopwise.release import rollback as lever

    with opened(dir) as project:
        found = lever(project.store, who(), why)
    emit(_row(found), json, f"{found.name} serves again.")


def _row(release: Release) -> JsonObject:
    names = ("name", "state", "parent", "dataset", "fingerprint", "path", "at")
    return {name: vars(release)[name] for name in names}
