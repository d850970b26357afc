"""``loopwise import`` and ``export``: brings in what other tools recorded, takes out what is here."""

from __future__ import annotations

import json as json_lines
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.progress import shown
from loopwise.cli.project import opened
from loopwise.errors import UsageError
from loopwise.store import meta

_SHOWN = 20  # refused rows that people are shown; --json has more


def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines, a JSON document or CSV.")],
    format: Annotated[str, typer.Option(help="open-webui, langfuse, openai or loopwise.")],
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Brings in exchanges and feedback that another tool recorded; a row that cannot be taken is told with its line,
    the others are stored. Twice imported is once stored. Exit 1 when nothing could be taken. Example: loopwise import
    feedback-history-export.json --format open-webui"""
    from loopwise.transfer.bring import import_file
    from loopwise.transfer.formats import IMPORTS

    if format not in IMPORTS:
        raise UsageError(f"--format {format!r} is not known: choose one of {', '.join(IMPORTS)}.")
    with opened(dir) as project, shown(json) as progress:
        with project.store.writing() as conn:
            key = meta.pseudonym_key(conn) if project.settings.gateway.pseudonyms else None
        done = import_file(project.store, file, format, key, progress)
    document = done.as_dict()
    counts = [(name, document[name]) for name in ("exchanges", "feedback", "known", "left_out")]
    emit(document, json, table(["what", ">count"], [*counts, ("refused", done.refused)]))
    if done.told and not json:
        rows = [(row.line, row.reason) for row in done.told[:_SHOWN]]
        more = "" if done.refused <= _SHOWN else f", the first {_SHOWN}; --json lists more"
        emit({}, False, table([">line", "refused because"], rows, title=f"{done.refused} refused{more}"))
    if done.refused and done.nothing_taken:
        raise typer.Exit(1)


def export(
    format: Annotated[str, typer.Option(help="loopwise.")] = "loopwise",
    out: Annotated[Path | None, typer.Option(help="Where to; default: standard output.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Takes out every exchange and feedback as JSON lines, which 'loopwise import' brings back. Example: loopwise
    export --out project.jsonl"""
    from loopwise.transfer.formats import EXPORTS

    if format not in EXPORTS:
        raise UsageError(f"--format {format!r} is not known: choose one of {', '.join(EXPORTS)}.")
    if json and out is None:
        raise UsageError("--json prints the counts, so the rows need a file: give --out too.")
    counts = {"exchanges": 0, "feedback": 0}
    with opened(dir) as project, shown(json or out is None) as progress:
        pseudonyms = project.settings.gateway.pseudonyms
        with project.store.reading() as conn, _written(out) as file:
            for row in EXPORTS[format](conn, pseudonyms, progress):
                file.write(json_lines.dumps(row) + "\n")
                counts["exchanges"] += row["type"] == "exchange"
                counts["feedback"] += row["type"] == "feedback"
    if out is not None:
        said = f"{counts['exchanges']} exchanges and {counts['feedback']} feedback are in {out}."
        emit({**counts, "out": str(out)}, json, said)


@contextmanager
def _written(out: Path | None) -> Generator[TextIO]:
    """Standard output, or a file that appears under its name when it is whole."""
    if out is None:
        yield sys.stdout
        return
    part = out.with_name(out.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
