"""One cell: people, the loop's own stages, and the held-out suite, round after round."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.rounds.plan import Cell, Sizes

from loopwise import loop
from loopwise.cli.init import created
from loopwise.cli.progress import silent
from loopwise.cli.project import opened
from loopwise.cli.templates import SUITE_N, embedded_toml
from loopwise.engine.embedded.local import LocalEngine
from loopwise.gateway.opinion import parse_opinion
from loopwise.people import Use, population
from loopwise.people.asking import MODEL, TEMPERATURE
from loopwise.people.plan import Visit, visits
from loopwise.people.words import Answer
from loopwise.practice.rollout import rollout, score_suite
from loopwise.practice.sources import PEOPLE, mixed
from loopwise.release.transitions import promote
from loopwise.store import artifacts, exchanges, feedback, releases
from loopwise.tiny import corpus
from loopwise.types import Example, Exchange, Feedback, Problem, SamplingParams
from loopwise.verify.pool import VerifierPool

PER_PERSON = 5  # events of one person in one round: more events come from more people
BEGAN, WEEK_S = 1.7e9, 7 * 86_400.0


def measure(cell: Cell, sizes: Sizes, template: Path) -> dict[str, Any]:
    """All rounds of one cell, in a copy of the project ``template``.

    ``right`` is the share of right answers that people got, by round; ``suite`` the share on the held-out suite of what
    served each round and of what serves at the end; ``datasets`` what each training had, by kind.
    """
    began = time.monotonic()
    with _parts(cell, sizes, template) as parts:
        people = population(max(2, cell.events // PER_PERSON), cell.seed)
        served, suite, datasets = [], [_score(parts)], []
        for number in range(1, sizes.rounds + 1):
            questions = _questions(parts, cell.seed * 1_000 + number, cell.events)
            use = Use(questions, people, cell.events, cell.seed * 1_000 + number)
            served.append(_serve(parts, list(visits(use)), number))
            if cell.arm == "rounds" or (cell.arm == "once" and number == sizes.rounds):
                datasets.append(_learn(parts, number))
                suite.append(_score(parts))
        found: dict[str, Any] = {"right": served, "suite": suite, "datasets": datasets}
        if cell.arm == "control":
            suite.append(_score(parts))
            ends = [_questions(parts, cell.seed * 1_000 + number, sizes.probe) for number in (1, sizes.rounds)]
            found["probe"] = [float(np.mean(_right(parts, asked, seed))) for seed, asked in enumerate(ends)]
    return {**found, "seconds": time.monotonic() - began}


@contextmanager
def _parts(cell: Cell, sizes: Sizes, template: Path) -> Iterator[loop.Parts]:
    """A turn's parts over a project of the cell's own, whose model is sampled in this process's workers."""
    with tempfile.TemporaryDirectory(prefix="rounds-") as folder:
        directory = Path(shutil.copytree(template, Path(folder) / "project"))
        with opened(directory) as project, VerifierPool(processes=1) as pool:
            examples = cell.examples * (sizes.rounds if cell.arm == "once" else 1)
            asked = {"examples": examples, "method": cell.method, "learning_rate": cell.learning_rate}
            changes = {"train": asked, "loop": {"seed": cell.seed}, "anchors": {"share": cell.rehearsed}}
            given = project.settings
            changed = {name: getattr(given, name).model_copy(update=each) for name, each in changes.items()}
            settings = given.model_copy(update=changed)
            anchors = [Example(row.messages, row.completion, "anchor", row.source, (row.id,)) for row in corpus.build()]
            with LocalEngine(settings.models, processes=1) as engine:
                yield loop.Parts(settings, project.store, project.suites(), anchors, engine, engine, pool, silent)


def _questions(parts: loop.Parts, seed: int, n: int) -> list[Problem]:
    """What people ask: the target's kinds of questions, never a suite's own."""
    return list(islice(mixed(parts.settings.suites["target"].sources, seed, PEOPLE), n))


def _champion(parts: loop.Parts) -> str:
    with parts.store.reading() as conn:
        return releases.the_champion(conn).name


def _right(parts: loop.Parts, asked: Sequence[Problem], seed: int) -> list[bool]:
    params = SamplingParams(temperature=TEMPERATURE, seed=seed)
    return [one.n_right == 1 for one in rollout(parts.sampler, parts.pool, _champion(parts), asked, params)]


def _serve(parts: loop.Parts, asked: Sequence[Visit], number: int) -> float:
    """People ask what serves and say what they think of it; the share of right answers."""
    params = SamplingParams(temperature=TEMPERATURE, seed=number)
    judged = rollout(parts.sampler, parts.pool, _champion(parts), [visit.problem for visit in asked], params)
    answers: list[Exchange] = []
    said: list[Feedback] = []
    for place, (visit, one) in enumerate(zip(asked, judged, strict=True)):
        [attempt], id = one.attempts, f"ex_{number}_{place}"
        at = BEGAN + WEEK_S * (number + place / len(asked))
        request = {"model": MODEL, "messages": list(visit.problem.messages), "temperature": TEMPERATURE}
        message = {"role": "assistant", "content": attempt.text}
        response = {"choices": [{"index": 0, "message": message, "finish_reason": attempt.finish_reason}]}
        whose = (MODEL, attempt.release, attempt.fingerprint, "champion", 1.0)
        answers.append(Exchange(id, at, *whose, request, response, 200, 0.1, user=visit.person.id))
        said += _feedback(parts.pool, visit, (id, at), attempt.text, one.n_right == 1)
    with parts.store.writing() as conn:
        exchanges.add(conn, answers)
        feedback.add(conn, said)
    return float(np.mean([one.n_right for one in judged]))


def _feedback(
    pool: VerifierPool, visit: Visit, exchange: tuple[str, float], text: str, right: bool
) -> Iterator[Feedback]:
    """What the person says of an answer, as the gateway reads it."""
    id, at = exchange
    problem = visit.problem
    answer = Answer(text, right, problem.reference, lambda other: pool.is_right(problem, other))
    for place, said in enumerate(visit.person.voice(answer, visit.rng).said):
        row = {"id": f"fb_{id}_{place}", "exchange_id": id, "kind": said.kind, "value": said.value, "at": at}
        yield parse_opinion({**row, "user": said.user or visit.person.id, **said.fields}, "", None)


def _learn(parts: loop.Parts, number: int) -> dict[str, Any]:
    """The loop's own stages over all that was said so far; what they make serves next, without a gate."""
    done: loop.Records = {}
    for stage in ("gather", "curate", "train"):
        done[stage] = loop.STAGES[stage](parts, number, done)
    with parts.store.reading() as conn:
        manifest = artifacts.dataset(conn, done["curate"]["dataset"], parts.store.root).manifest
    if done["train"]["candidate"] is not None:
        promote(parts.store, done["train"]["candidate"], f"round {number}", "no gate, as in the paper")
    method = done["train"].get("metrics", {}).get("method") or done["train"].get("reason")
    dropped = Counter[str]()
    for row in manifest["dropped"]:
        dropped[row["step"]] += row["count"]
    return {"kinds": manifest["kinds"], "dropped": dict(dropped), "method": method}


def _score(parts: loop.Parts) -> float:
    [suite] = [suite for suite in parts.suites if suite.role == "final"]
    return float(np.mean(score_suite(parts.sampler, parts.pool, _champion(parts), suite).scores))


def template(sizes: Sizes, folder: Path) -> Path:
    """A project whose suites every cell shares; no gate reads its other suites, so they are small."""
    toml, n = re.subn(rf"^n = {SUITE_N}$", "n = 20", embedded_toml(), flags=re.MULTILINE)
    assert n > 1, "the template names the sizes of its suites otherwise now"
    before, final, after = toml.partition("[suites.final]")
    with created(folder, before + final + after.replace("n = 20", f"n = {sizes.held_out}", 1)) as project:
        return project.dir
