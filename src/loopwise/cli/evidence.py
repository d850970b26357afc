"""``loopwise practice``, ``evaluate`` and ``report``: figures without training."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, points, scored, table
from loopwise.cli.progress import shown
from loopwise.cli.project import Project, opened, serving_engine, verifier_pool
from loopwise.errors import UnknownNameError, UsageError
from loopwise.store import artifacts
from loopwise.types import Engine, JsonObject, Suite, SuiteScores

_PRACTICE_COLUMNS = (
    "problems",
    "attempts",
    "pass_at_1",
    "pass_at_k",
    "all_right",
    "all_wrong",
    "mixed",
    "kept",
    "failed",
)


def practice(
    source: Annotated[str, typer.Option(help="A problem source, e.g. reasoning-gym:gcd or problems.jsonl.")],
    problems: Annotated[int, typer.Option(min=1)] = 100,
    attempts: Annotated[int, typer.Option(min=1, max=1_024)] = 8,
    release: Annotated[str, typer.Option(help="Which release tries.")] = "champion",
    seed: int = 0,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Tries problems and judges the attempts, without training. Example: loopwise practice --source
    reasoning-gym:gcd"""
    from loopwise.practice.practise import Plan, practise, report

    with opened(dir) as project, shown(json) as progress, verifier_pool() as pool, _sampler(project) as engine:
        held_out = frozenset(problem.key for suite in project.suites() for problem in suite.problems)
        settings = project.settings.practice.model_copy(
            update={"sources": [source], "problems": problems, "attempts": attempts}
        )
        plan = Plan.of(settings, seed, held_out)
        chunks = practise(engine, pool, project.release(release).name, plan, frozenset(), progress)
        document = report(judged for chunk in chunks for judged in chunk.judged)
    emit(document, json, _practice_table(document))


def _practice_table(document: JsonObject) -> Table:
    parts: dict[str, JsonObject] = {"all": document}
    if len(document["segments"]) > 1:
        parts |= document["segments"]
    rows = [(name, *(_short(found[key]) for key in _PRACTICE_COLUMNS)) for name, found in parts.items()]
    title = "kept: working paths from problems that were solved by some attempts and not by others"
    return table(["problems from", *(f">{name}" for name in _PRACTICE_COLUMNS)], rows, title)


@contextmanager
def _sampler(project: Project) -> Generator[Engine]:
    """The embedded model samples in process; any other over HTTP."""
    if project.settings.engine.kind == "openai":
        with serving_engine(project) as engine:
            yield engine
        return
    from loopwise.engine.embedded.local import LocalEngine

    with LocalEngine(project.settings.models) as engine:
        yield engine


def _short(value: float | None) -> str:
    """Counts as they are, pass rates to a thousandth."""
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def evaluate(
    release: Annotated[str, typer.Argument(help="A release's name, or 'champion'.")],
    suite: Annotated[str, typer.Option(help="Which suite.")],
    prompt: Annotated[Path | None, typer.Option(help="A file whose text is put before each question.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Scores a release on a suite; exit 1 when it is proved worse than the champion. Example: loopwise evaluate
    champion --suite target"""
    with opened(dir) as project, shown(json) as progress:
        found = project.release(release)
        questions = project.suite(suite)
        if prompt is not None:
            questions = _with_prompt(questions, prompt)
        with serving_engine(project) as engine, verifier_pool() as pool:
            from loopwise.practice.rollout import score_suite

            found_scores = score_suite(engine, pool, found.name, questions, progress=progress)
            champion = project.champion()
            best = found_scores
            if champion.name != found.name or prompt is not None:
                best = score_suite(engine, pool, champion.name, project.suite(suite), progress=progress)
    document = _evaluation(questions, found_scores, best)
    rows = [("all", document["n"], points(document["score"], document["low"], document["high"]))]
    rows += [(s["name"], s["n"], points(s["score"], s["low"], s["high"])) for s in document["slices"]]
    emit(document, json, table(["slice", ">questions", ">score [95 % interval]"], rows, title=document["comparison"]))
    if document["worse"]:
        raise typer.Exit(1)


def _with_prompt(suite: Suite, path: Path) -> Suite:
    if not path.is_file():
        raise UsageError(f"--prompt {path} is no file: name a text file.")
    try:
        system = {"role": "system", "content": path.read_text(encoding="utf-8")}
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt {path} is not UTF-8 text ({error.reason}): save it as UTF-8.") from error
    changed = tuple(dataclasses.replace(p, messages=(system, *p.messages)) for p in suite.problems)
    return dataclasses.replace(suite, problems=changed)


def _evaluation(suite: Suite, found: SuiteScores, best: SuiteScores) -> JsonObject:
    import numpy as np

    from loopwise.stats.intervals import mean_interval
    from loopwise.stats.paired import mcnemar_superiority

    right_N = np.array([score >= 1.0 for score in found.scores])
    best_N = np.array([score >= 1.0 for score in best.scores])
    p_worse = mcnemar_superiority(int((best_N & ~right_N).sum()), int((right_N & ~best_N).sum()))
    worse = bool(p_worse < 0.05)
    slices: list[JsonObject] = []
    for segment in sorted({problem.segment for problem in suite.problems}):
        chosen_N = np.array([problem.segment == segment for problem in suite.problems])
        slices.append({"name": segment, **scored(mean_interval(right_N[chosen_N].astype(float)))})
    comparison = f"{found.release} on {suite.name}: " + ("worse than the champion" if worse else "not proved worse")
    whole = scored(mean_interval(right_N.astype(float)))
    return {
        "release": found.release, "suite": suite.name, "version": suite.version, "fingerprint": found.fingerprint,
        **whole, "slices": slices, "worse": worse, "p_worse": p_worse, "comparison": comparison,
    }  # fmt: skip


def report(
    turn: Annotated[int | None, typer.Argument(help="Which turn; default: the last.")] = None,
    dir: Dir = HERE,
    json: Json = False,
) -> None:
    """Prints the referee's report on a turn. Example: loopwise report 2 --dir my-project"""
    from loopwise.gate import from_json, to_text

    with opened(dir) as project, project.store.reading() as conn:
        number = artifacts.last_report_turn(conn) if turn is None else turn
        found = artifacts.get_report(conn, number) if number is not None else None
    if found is None:
        raise UnknownNameError(f"There is no report for turn {number}: run 'loopwise turn', then ask again.")
    emit({"turn": number, **found}, json, to_text(from_json(found)))
