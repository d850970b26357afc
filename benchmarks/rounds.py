"""Deployment rounds: serve, hear people, retrain on all that they said, serve the new model. What do nine rounds give?

    python -m benchmarks.rounds [--seeds 0 1 2 3 4] [--short] [--out FOLDER]

After Gao et al. 2023 ("Continually Improving Extractive QA via Human Feedback", arXiv 2305.12473): 9 rounds of 200
events took right answers from 47.7 to 69.4 %, and the first model, deployed again at the end, gave 47.85 %.

Here the embedded model is asked by simulated people of known truth (the population "default": most are honest, some
err, the thumbs of some are coins). Arms, for each seed with the same people and the same questions in the same order:

- rounds: after each round the serving model trains on what people said so far, and serves the next round. No practice
  and no gate: people's feedback alone, as in the paper.
- once: all questions go to the first model; then one training with as many steps as all rounds have.
- control: the first model serves every round.

Factors, one at a time, in the arm rounds: events a round, and the trainer's method. What is asked, who asks it and what
they say come from ``loopwise.people``; signals, curation and training are the loop's own stages. The model is sampled
in this process, not over HTTP: same weights and temperature, and the way through the gateway is tested elsewhere. The
people do nothing silently, and a week lies between rounds. A round's questions are new ones, so the control's last
round against its first shows what chance and questions do. Truth is asked of a suite that nothing trains on. One
thread; each cell is kept as it is done, and a run that was cut short goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from benchmarks.exchange_rate.kept import without_words
from benchmarks.exchange_rate.rates import t_interval

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

Arm = Literal["rounds", "once", "control"]
FIRST = "tiny@0"
PER_PERSON = 5  # events of one person in one round: more events come from more people
BEGAN, WEEK_S = 1.7e9, 7 * 86_400.0
PACKAGES = ("loopwise", "numpy", "torch", "transformers", "trl")


@dataclass(frozen=True)
class Sizes:
    """``held_out`` is the suite's questions; ``probe`` the questions that the first model is asked as at the first and
    at the last round, to see whether these differ."""

    rounds: int = 9
    held_out: int = 2_000
    probe: int = 5_000


SHORT = Sizes(rounds=2, held_out=40, probe=40)


@dataclass(frozen=True)
class Cell:
    """In each round: ``events``, and ``examples`` that training sees, repeats counted. ``rehearsed`` is the share of
    the dataset that comes from the corpus that the first model was made from, as in the paper."""

    seed: int
    arm: Arm
    events: int = 200
    method: Literal["auto", "sft"] = "auto"
    examples: int = 2_000
    rehearsed: float = 0.8
    learning_rate: float = 5e-4


def plan(seeds: Sequence[int]) -> list[Cell]:
    """The arms of all seeds come first, then the factors."""
    arms: tuple[Arm, ...] = ("control", "rounds", "once")
    cells = [Cell(seed, arm) for seed in seeds for arm in arms]
    cells += [Cell(seed, arm, 2_000) for seed in seeds for arm in ("rounds", "once")]
    return cells + [Cell(seed, "rounds", method="sft") for seed in seeds]


def short_plan(seeds: Sequence[int]) -> list[Cell]:
    return [Cell(seed, arm, 20, examples=64) for seed in seeds for arm in ("control", "rounds", "once")]


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


class Kept:
    """Cells that are done, a JSON line each, in a file named by the sizes and by the code that decides them."""

    def __init__(self, folder: Path, sizes: Sizes):
        named = sha256(f"{asdict(sizes)} {without_words(Path(__file__))}".encode()).hexdigest()[:12]
        self.path = folder / f"rounds-{named}.jsonl"
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]  # a line that a kill cut short is not one
        if len(rows) < len(lines):
            self.path.write_text("".join(lines[: len(rows)]))
        self.done: dict[Cell, dict[str, Any]] = {Cell(**row["cell"]): row["found"] for row in rows}

    def put(self, cell: Cell, found: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"cell": asdict(cell), "found": found}) + "\n")
        self.done[cell] = found


Found = Mapping[Cell, Mapping[str, Any]]


def gain(found: Mapping[str, Any]) -> float:
    """Points that the last model has over the first, on the held-out suite."""
    return 100 * (found["suite"][-1] - found["suite"][0])


def groups(found: Found) -> dict[tuple[Arm, int, str], list[Cell]]:
    """Cells that differ in the seed alone, in the order in which they were measured."""
    made: dict[tuple[Arm, int, str], list[Cell]] = {}
    for cell in found:
        made.setdefault((cell.arm, cell.events, cell.method), []).append(cell)
    return made


def paired(found: Found, one: tuple[Arm, int, str], other: tuple[Arm, int, str]) -> list[float]:
    """Points by which the last model of one group is ahead of the other's, for each seed that has both."""
    cells = groups(found)
    theirs = {cell.seed: gain(found[cell]) for cell in cells.get(other, ())}
    return [gain(found[cell]) - theirs[cell.seed] for cell in cells.get(one, ()) if cell.seed in theirs]


def drift(found: Found, n: int) -> dict[str, float]:
    """Points between the first model's answers to the last round's questions and to the first's, over all seeds.

    ``n`` questions at each end and seed. ``seen`` is the difference that 80 % of such runs would find (two-sided, 5 %).
    """
    ends_S2 = np.array([cell["probe"] for cell in found.values() if "probe" in cell])
    first, last = ends_S2.mean(axis=0)
    error = math.sqrt((first * (1 - first) + last * (1 - last)) / (n * len(ends_S2)))
    points, half = 100 * (last - first), 196 * error
    return {"points": points, "low": points - half, "high": points + half, "seen": 100 * (1.96 + 0.84) * error}


def table(found: Found, sizes: Sizes) -> list[str]:
    """What is printed: right answers on the held-out suite and to people, by group, and the comparisons."""
    lines = [f"{'arm':<9}{'events':>7}{'method':>7}{'seeds':>6}{'suite':>22}{'points':>8}  95 %            people"]
    for (arm, events, method), cells in groups(found).items():
        first, last = (100 * np.mean([found[cell]["suite"][at] for cell in cells]) for at in (0, -1))
        asked, end = (100 * np.mean([found[cell]["right"][at] for cell in cells]) for at in (0, -1))
        points, low, high = t_interval(np.array([gain(found[cell]) for cell in cells]))
        lines.append(
            f"{arm:<9}{events:>7}{method:>7}{len(cells):>6}{first:>14.1f} → {last:>5.1f}{points:>+8.1f}"
            f"  [{low:+.1f}, {high:+.1f}]{'':<4}{asked:.1f} → {end:.1f}"
        )
    for one, other in comparisons(found):
        ahead = paired(found, one, other)
        points, low, high = t_interval(np.array(ahead))
        lines.append(
            f"{_named(one)} ahead of {_named(other)}: {points:+.1f} [{low:+.1f}, {high:+.1f}], {len(ahead)} seeds"
        )
    moved = drift(found, sizes.probe)
    lines.append(
        f"control, last round's questions against the first's: {moved['points']:+.2f} "
        f"[{moved['low']:+.2f}, {moved['high']:+.2f}]; 80 % of such runs find {moved['seen']:.2f}"
    )
    return lines


def comparisons(found: Found) -> list[tuple[tuple[Arm, int, str], tuple[Arm, int, str]]]:
    """Rounds against the same events at once, wherever both were measured."""
    there = groups(found)
    return [(one, ("once", *one[1:])) for one in there if one[0] == "rounds" and ("once", *one[1:]) in there]


def _named(group: tuple[Arm, int, str]) -> str:
    return "{} ({} events, {})".format(*group)


def publish(found: Found, sizes: Sizes, out: Path, arguments: Sequence[str]) -> None:
    """Prints the table, writes rounds.json and rounds.png."""
    print("\n".join(table(found, sizes)))
    document = {
        "command": " ".join(["python -m benchmarks.rounds", *arguments]),
        "settings": asdict(sizes),
        "intervals": "95 %: Student's t over seeds, points paired by seed; of the probe, normal over all questions",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"processor": platform.processor() or platform.machine(), "threads": 1},
        "drift": drift(found, sizes.probe),
        "ahead": {
            f"{_named(one)} of {_named(other)}": t_interval(np.array(paired(found, one, other)))
            for one, other in comparisons(found)
        },
        "cells": [{**asdict(cell), "points": gain(one), **one} for cell, one in found.items()],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "rounds.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draw(found, sizes, out / "rounds.png")


def draw(found: Found, sizes: Sizes, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.6, 4.6), dpi=140)
    colors = pyplot.get_cmap("tab10").colors  # pyright: ignore[reportAttributeAccessIssue]
    for number, (group, cells) in enumerate(groups(found).items()):
        arm, events, method = group
        color = "#777777" if arm == "control" else colors[number % len(colors)]
        heights_SR = 100 * np.array([found[cell]["suite"] for cell in cells])
        rounds = range(sizes.rounds + 1) if arm == "rounds" else (0, sizes.rounds)
        label = f"{arm}, {events} events" + (", imitation" if method == "sft" else "")
        mark, style = ("o", "-") if arm == "rounds" else ("s", ":")
        axes.plot(rounds, heights_SR.mean(axis=0), marker=mark, linestyle=style, color=color, label=label, markersize=4)
        if arm == "rounds":
            axes.fill_between(rounds, heights_SR.min(axis=0), heights_SR.max(axis=0), color=color, alpha=0.12)
    axes.set_xlabel("rounds of events, after each of which the model is trained and deployed")
    axes.set_ylabel("right answers on a held-out suite, %")
    seeds = len({cell.seed for cell in found})
    axes.set_title(f"Deployment rounds: mean and range over {seeds} seeds", loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--short", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further cell after so many")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    sizes, cells = (SHORT, short_plan(given.seeds)) if given.short else (Sizes(), plan(given.seeds))
    kept, began = Kept(given.out / "cache", sizes), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rounds-") as folder:
        shared = template(sizes, Path(folder) / "template")
        for cell in [cell for cell in cells if cell not in kept.done]:
            if time.monotonic() - began < 60 * given.minutes:
                kept.put(cell, measure(cell, sizes, shared))
                print(f"{cell}: {gain(kept.done[cell]):+.1f} points, {kept.done[cell]['seconds']:.0f} s", flush=True)
    publish({cell: kept.done[cell] for cell in cells if cell in kept.done}, sizes, given.out, sys.argv[1:])


if __name__ == "__main__":
    main()
