"""``loopwise datasets``, ``suites`` and ``trace``: what exists, and where it came from."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from loopwise.cli.lineage import chain
from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.project import Project, opened
from loopwise.errors import UnknownNameError
from loopwise.store import artifacts
from loopwise.types import Dataset, JsonObject

datasets = typer.Typer(help="What was made to train on, and what was dropped and why.", rich_markup_mode=None)


@datasets.callback(invoke_without_command=True)
def _list(context: typer.Context, dir: Dir = HERE, json: Json = False) -> None:
    """Lists the datasets. Example: loopwise datasets --dir my-project"""
    if context.invoked_subcommand:
        return
    with opened(dir) as project, project.store.reading() as conn:
        found = artifacts.all_datasets(conn, project.dir)
    rows = [(dataset.name, turn, dataset.n, dataset.path.name) for turn, dataset in found]
    document = {"datasets": [{"name": name, "turn": turn, "n": n} for name, turn, n, _ in rows]}
    emit(document, json, table(["name", ">turn", ">examples", "file"], rows))


@datasets.command("show")
def show(
    dataset: Annotated[str, typer.Argument(help="The dataset's name, or its first digits.")],
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Prints a dataset's manifest. Example: loopwise datasets show sha256:12ab --dir my-project"""
    with opened(dir) as project:
        chosen = dataset_named(project, dataset)
    document: JsonObject = {"name": chosen.name, "path": str(chosen.path), **chosen.manifest}
    emit(document, json, table(["what", ">count"], _counted(chosen.manifest), title=chosen.name))


def dataset_named(project: Project, wanted: str) -> Dataset:
    """The dataset whose name begins so; "" means the newest. Raises UnknownNameError."""
    with project.store.reading() as conn:
        found = [made for _, made in artifacts.all_datasets(conn, project.dir)]
    if not wanted and found:
        return found[-1]
    chosen = [made for made in found if made.name.removeprefix("sha256:").startswith(wanted.removeprefix("sha256:"))]
    if len(chosen) != 1:
        raise UnknownNameError(f"{len(chosen)} datasets begin with {wanted!r}; 'loopwise datasets' lists all of them.")
    return chosen[0]


def _counted(manifest: JsonObject, prefix: str = "") -> list[tuple[str, Any]]:
    """The manifest's figures, one row each; lists of examples are for the JSON."""
    rows: list[tuple[str, Any]] = []
    for key, value in manifest.items():
        if isinstance(value, dict):
            rows.extend(_counted(value, f"{prefix}{key} "))  # pyright: ignore[reportUnknownArgumentType]
        elif key == "dropped":
            rows.extend((f"{prefix}dropped: {drop['step']}, {drop['reason']}", drop["count"]) for drop in value)
        elif not isinstance(value, list):
            rows.append((f"{prefix}{key}", value))
    return rows


def suites(dir: Dir = HERE, json: Json = False) -> None:
    """Lists the suites. Example: loopwise suites --dir my-project"""
    with opened(dir) as project:
        found = project.suites()
    rows = [
        (suite.name, suite.role, len(suite.problems), suite.version[:19], f"{100 * suite.margin:g}") for suite in found
    ]
    document: JsonObject = {
        "suites": [
            {
                "name": suite.name,
                "role": suite.role,
                "version": suite.version,
                "n": len(suite.problems),
                "segments": dict(Counter(problem.segment for problem in suite.problems)),
            }
            for suite in found
        ]
    }
    emit(document, json, table(["name", "role", ">questions", "version", ">margin"], rows))


def trace(
    id: Annotated[str, typer.Argument(help="An answer, feedback, release, dataset, example or person.")],
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Walks from an answer to its weights, their data and people (up), and to what came of it (down); and so from
    whatever stands between them. An example is DATASET#NUMBER. Example: loopwise trace tiny@2"""
    with opened(dir) as project:
        links = chain(project, id)
    rows = [(link["way"], link["what"], link["id"], link["says"]) for link in links]
    emit({"chain": links}, json, table(["way", "what", "id", "says"], rows))
