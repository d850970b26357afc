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
from loopwise.cli.project import Project, opened
from loopwise.errors import UsageError
from loopwise.store import meta
from loopwise.types import JsonObject, Progress

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
    format: Annotated[
        str, typer.Option(help="loopwise; of a dataset: trl-sft, trl-dpo, trl-kto, openai, openai-dpo, parquet.")
    ] = "loopwise",
    out: Annotated[Path | None, typer.Option(help="Where to; default: standard output.")] = None,
    dataset: Annotated[str, typer.Option(help="Which, by its first digits; default: the newest.")] = "",
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Takes out every exchange and feedback as JSON lines, which 'loopwise import' brings back; or a dataset, as what
    others train on. Example: loopwise export --format trl-dpo --out pairs.jsonl"""
    from loopwise.transfer.formats import EXPORTS
    from loopwise.transfer.training import TRAINING

    known = [*EXPORTS, *TRAINING, "parquet"]
    if format not in known:
        raise UsageError(f"--format {format!r} is not known: choose one of {', '.join(known)}.")
    if json and out is None:
        raise UsageError("--json prints the counts, so the rows need a file: give --out too.")
    if dataset and format in EXPORTS:
        raise UsageError(f"--format {format} takes out everything: leave --dataset out, or choose another format.")
    with opened(dir) as project, shown(json or out is None) as progress:
        if format not in EXPORTS:
            document, said = _exported(project, (format, dataset), out, progress)
        else:
            document, said = _everything(project, format, out, progress)
    if out is not None:
        emit({**document, "out": str(out)}, json, said)
    elif format not in EXPORTS:
        typer.echo(said, err=True)  # standard output holds the rows


def _everything(project: Project, format: str, out: Path | None, progress: Progress) -> tuple[JsonObject, str]:
    from loopwise.transfer.formats import EXPORTS

    counts = {"exchanges": 0, "feedback": 0}
    pseudonyms = project.settings.gateway.pseudonyms
    with project.store.reading() as conn, _written(out) as file:
        for row in EXPORTS[format](conn, pseudonyms, progress):
            file.write(json_lines.dumps(row) + "\n")
            counts["exchanges"] += row["type"] == "exchange"
            counts["feedback"] += row["type"] == "feedback"
    return counts, f"{counts['exchanges']} exchanges and {counts['feedback']} feedback are in {out}."


def _exported(
    project: Project, format_dataset: tuple[str, str], out: Path | None, progress: Progress
) -> tuple[JsonObject, str]:
    from loopwise.cli.data import dataset_named
    from loopwise.transfer import datasets

    format, wanted = format_dataset
    made = dataset_named(project, wanted)
    if not made.path.exists():
        raise UsageError(f"The rows of {made.name} are gone, by retention or with a forgotten person; take another.")
    if format == datasets.PARQUET:
        if out is None:
            raise UsageError("--format parquet is no text: give --out too.")
        done = datasets.copy(made.path, out)
    else:
        with _written(out) as file:
            done = datasets.write_lines(made.path, format, file, progress)
    said = [f"{done.rows} of {made.n} rows of {made.name} became {done.lines} lines of {format}."]
    said += [f"{n} left out: {reason}." for reason, n in sorted(done.left_out.items())]
    said += [f"{done.unweighted} have a weight that the format does not tell."] if done.unweighted else []
    left_out = [{"reason": reason, "count": n} for reason, n in sorted(done.left_out.items())]
    counts = {"rows": done.rows, "lines": done.lines, "left_out": left_out, "unweighted": done.unweighted}
    return {"dataset": made.name, **counts}, "\n".join(said)


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
