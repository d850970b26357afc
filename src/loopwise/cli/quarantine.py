"""``loopwise quarantine``: who is kept out of training and why, and an operator's last word on it."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from loopwise.cli.options import HERE, Dir, Json, who
from loopwise.cli.output import emit, table
from loopwise.cli.project import Project, opened
from loopwise.store import quarantine as stored
from loopwise.types import JsonObject

quarantine = typer.Typer(
    help="Who is kept out of training and why; nobody's rows are removed, and each decision can be reversed.",
    rich_markup_mode=None,
    add_completion=False,
)

Person = Annotated[str, typer.Argument(help="The person's pseudonym, which 'loopwise quarantine' lists.")]
Why = Annotated[str, typer.Option(help="The reason, which stands beside the decision.")]
FOUND = "found"  # by whom somebody is kept out whom no operator named


@quarantine.callback(invoke_without_command=True)
def _list(context: typer.Context, dir: Dir = HERE, json: Json = False) -> None:
    """Lists who is kept out, works out anew who should be, and shows who was let in. Example: loopwise quarantine --dir
    my-project"""
    if context.invoked_subcommand:
        return
    with opened(dir) as project:
        found, released = _found(project)
    rows = [(row["person"], row["reason"], row["by"]) for row in found]
    rows += [(row["person"], f"let in: {row['reason']}", row["by"]) for row in released]
    shown = table(["person", "why", "decided by"], rows)
    shown.columns[0].no_wrap = True  # a decision wants it whole
    emit({"quarantined": found, "released": released}, json, shown if rows else "Nobody is kept out.")


@quarantine.command("add")
def add(person: Person, why: Why, dir: Dir = HERE, json: Json = False) -> None:
    """Keeps a person out of training, whatever is found. Example: loopwise quarantine add 5d41402a --why spam"""
    _decide(person, why, (dir, json), out=True)


@quarantine.command("release")
def release(person: Person, why: Why, dir: Dir = HERE, json: Json = False) -> None:
    """Lets a person's feedback in, whatever is found. Example: loopwise quarantine release 5d41402a --why tester"""
    _decide(person, why, (dir, json), out=False)


def _decide(person: str, why: str, options: tuple[Dir, bool], *, out: bool) -> None:
    directory, json = options
    decision = stored.Decision(out, time.time(), who(), why)
    with opened(directory) as project, project.store.writing() as conn:
        stored.decide(conn, person, decision)
    what = "is kept out of training" if out else "counts in training"
    emit({"person": person, **vars(decision)}, json, f"{person} {what} from the next turn on.")


def _found(project: Project) -> tuple[list[JsonObject], list[JsonObject]]:
    """(kept out, let in): ``person, reason, evidence, by, at``; ``at`` is None for what is found anew each time."""
    from loopwise.signals import weigh
    from loopwise.store import exchanges, feedback
    from loopwise.types import Marks

    with project.store.reading() as conn:
        marks = Marks(exchanges.watermark(conn), feedback.watermark(conn))
        weighing = weigh(conn, marks, project.settings.signals)
        decided = stored.decisions(conn)
    found: list[JsonObject] = []
    for person, reason in weighing.quarantined.items():
        by = decided.get(person)
        evidence = {} if by else weighing.evidence.get(person, {})
        found.append(_row(person, by.why if by else reason, evidence, by))
    released = [_row(person, by.why, {}, by) for person, by in decided.items() if not by.out]
    return found, released


def _row(person: str, reason: str, evidence: JsonObject, by: stored.Decision | None) -> JsonObject:
    decided = {"by": by.who, "at": by.at} if by else {"by": FOUND, "at": None}
    return {"person": person, "reason": reason, "evidence": evidence, **decided}
