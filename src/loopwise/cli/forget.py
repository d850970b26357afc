"""``loopwise forget``: removes what a person said and was answered, and lists what learned from it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.project import Project, opened
from loopwise.errors import UnknownNameError, UsageError
from loopwise.types import JsonObject

if TYPE_CHECKING:
    from loopwise.store.forget import Affected


def forget(
    user: Annotated[str, typer.Argument(help="The person, as the app names them, or their pseudonym.")],
    retrain: Annotated[bool, typer.Option("--retrain", help="Run a turn without them afterwards.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Removes a person's exchanges and feedback, with what others said of their answers, and lists the datasets and
    releases that learned from them. What was killed goes on when it is called again. Example: loopwise forget
    user-17 --dir my-project"""
    from loopwise.store.forget import forget as forget_in, recorded

    with opened(dir) as project:
        names = stored_names(project, user)
        with project.store.reading() as conn:
            if not recorded(conn, names):
                raise UnknownNameError(f"Nothing is recorded under {user!r}: give the name that the app sends.")
        if not yes:
            _confirm(user)
        done = forget_in(project.store, names, time.time())
        document: JsonObject = {
            "removed": done.removed,
            "affected": [asdict(row) for row in done.affected],
            "unknown": done.unknown,
            "unaffected": _unaffected(project, done.affected),
            "wiped": done.wiped,
        }
        if retrain:
            from loopwise.cli.turn import finish_or_begin

            document["turn"] = finish_or_begin(project, quiet=json)
    emit(document, json, table(["what", "says"], _rows(document), title=f"{user} is forgotten"))


def stored_names(project: Project, user: str) -> list[str]:
    """What ``user`` may be stored as: their pseudonym, and the name itself, which may be a pseudonym already, or was
    stored while the project made none."""
    from loopwise.gateway.identity import pseudonym
    from loopwise.store import meta

    with project.store.reading() as conn:
        key = meta.made_pseudonym_key(conn)
    return list(dict.fromkeys([pseudonym(user, key), user]))


def _confirm(user: str) -> None:
    """Asks, where somebody can answer: what is removed is gone for good."""
    if not sys.stdin.isatty():
        return
    if not typer.confirm(f"Remove everything that {user} said and was answered? It cannot be brought back", err=True):
        raise UsageError("Nothing was removed.")


def _unaffected(project: Project, affected: Sequence[Affected]) -> str | None:
    """The champion, or its nearest ancestor, that learned nothing from the person."""
    from loopwise.store import releases

    touched = {name for row in affected for name in (*row.releases, *row.heirs)}
    with project.store.reading() as conn:
        release = releases.champion(conn)
        while release is not None and release.name in touched:
            release = releases.get(conn, release.parent) if release.parent else None
    return release.name if release else None


def _rows(document: JsonObject) -> list[tuple[str, str]]:
    rows = [(f"removed {name}", str(n)) for name, n in document["removed"].items()]
    for row in document["affected"]:
        trained = ", ".join(row["releases"]) or "nothing"
        heirs = f"; {', '.join(row['heirs'])} went on from there" if row["heirs"] else ""
        rows.append((row["dataset"], f"{row['examples']} examples rested on them; trained {trained}{heirs}"))
    rows += [(name, "its file had expired: nobody can tell who was in it") for name in document["unknown"]]
    rows.append(("learned nothing from them", document["unaffected"] or "no release that came before the champion"))
    if not document["wiped"]:
        rows.append(("not wiped yet", "somebody reads an old state of the store: run the command again"))
    if "turn" in document:
        turn = document["turn"]
        rows.append((f"turn {turn['turn']}", f"{turn['verdict']}; {turn['release']} serves; dataset {turn['dataset']}"))
    return rows
