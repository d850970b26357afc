"""A/A: how often does the gate promote a candidate that truly equals the champion? At most 5 % of trials is the target.

    python benchmarks/aa.py [--trials 1000] [--seed 0] [--arm simulated|model|both] [--model FOLDER] [--out FOLDER]

Both arms go through the whole gate at its default settings: superiority on a target, non-inferiority on anchors
(two where simulated, the model's anchor families otherwise).

- simulated: right and wrong answers are drawn, over a grid of base accuracies and discordances. The exact rate, summed
  over the trinomial, stands beside the counted one. Scores, because training thousands of null candidates is slow.
- model: the embedded model answers held-out questions at temperature 1. In every trial champion and candidate each
  answer every question afresh: 2 x trials samples per question, none used twice, so that trials are independent given
  the questions. What was sampled is kept in the out folder's cache, and a run that was cut short goes on from there.

Champion and candidate carry different fingerprints, because with one and the same the gate refuses outright.
"Target alone" counts the trials that pass the target's check: what would be promoted by a project without anchors.
Writes aa.json and aa.png; exits with 1 where a rate exceeds 5 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from loopwise.gate import GateSettings, judge
from loopwise.stats.intervals import clopper_pearson
from loopwise.stats.power import noninferiority_power, superiority_power
from loopwise.types import Problem, SamplingParams, Suite, SuiteScores

RIGHTS = (0.2, 0.5, 0.8, 0.95)
DISCORDANCES = (0.05, 0.1, 0.2, 0.4)
QUESTIONS = 400  # per suite, in the simulated arm
MARGIN = 0.05
LIMIT = 0.05  # the share of false promotions that is allowed
SETTINGS = GateSettings()

MODEL_QUESTIONS = 300  # per suite
HELD_OUT_SEED = 7_000_000
BLOCK = 50  # samples per question between two saves

Rights = NDArray[np.bool_]
Draw = Callable[[int], tuple[Mapping[str, Rights], Mapping[str, Rights]]]


@dataclass(frozen=True)
class Cell:
    """Trials of one kind, and the share of them that promoted (Clopper-Pearson interval at 95 %)."""

    arm: str
    right: float
    discordance: float
    trials: int
    promoted: int
    low: float
    high: float
    target_alone: int
    exact: float | None
    exact_target_alone: float | None
    fingerprint: str | None = None  # of the model that was sampled


def play(suites: Sequence[Suite], draw: Draw, trials: int) -> tuple[int, int]:
    """Judges ``trials`` pairs of equal releases; returns how many were promoted, and passed on the target."""
    promoted = target_alone = 0
    for trial in range(trials):
        champion, candidate = draw(trial)
        report = judge(scores(suites, champion, "champion"), scores(suites, candidate, "candidate"), suites, SETTINGS)
        promoted += report.passed
        target_alone += report.checks[0].passed
    return promoted, target_alone


def scores(suites: Sequence[Suite], right: Mapping[str, Rights], release: str) -> dict[str, SuiteScores]:
    """A release's right and wrong answers as the gate reads them."""
    return {
        s.name: SuiteScores(
            s.name, s.version, release, f"sha256:{release}", tuple(right[s.name].astype(float).tolist())
        )
        for s in suites
    }


def simulated(trials: int, seed: int) -> list[Cell]:
    """One cell for each possible pair of accuracy and discordance."""
    names = {"target": "target", "anchor-1": "anchor", "anchor-2": "anchor"}
    blank = tuple(Problem(str(i), "simulated", (), None, "exact") for i in range(QUESTIONS))
    suites = [Suite(name, role, "1", blank, MARGIN) for name, role in names.items()]  # type: ignore[arg-type]
    cells: list[Cell] = []
    for right in RIGHTS:
        for discordance in (d for d in DISCORDANCES if d <= 2 * min(right, 1 - right) + 1e-9):
            rng = np.random.default_rng([seed, len(cells)])

            def draw(
                trial: int,
                rng: np.random.Generator = rng,
                both: float = right - discordance / 2,
                d: float = discordance,
            ) -> tuple[dict[str, Rights], dict[str, Rights]]:
                place = {
                    name: rng.random(QUESTIONS) for name in names
                }  # [both | only champion | only candidate | none]
                champion = {name: at < both + d / 2 for name, at in place.items()}
                candidate = {n: (at < both) | ((at >= both + d / 2) & (at < both + d)) for n, at in place.items()}
                return champion, candidate

            promoted, alone = play(suites, draw, trials)
            interval = clopper_pearson(promoted, trials)
            chance = superiority_power(QUESTIONS, discordance, 0.0, SETTINGS.alpha)
            anchor = noninferiority_power(QUESTIONS, discordance, 0.0, MARGIN, SETTINGS.anchor_alpha)
            cells.append(
                Cell(
                    "simulated", right, discordance, trials, promoted, interval.low, interval.high, alone,
                    chance * anchor**2, chance,
                )
            )  # fmt: skip
    return cells


def model_suites() -> list[Suite]:
    """Held-out questions of the embedded model's families: a target suite over all target families, and a suite for
    each anchor family."""
    from loopwise.suites import make
    from loopwise.tiny.families import FAMILIES, TARGET_SOURCES

    anchors = [family for family in FAMILIES if family.role == "anchor"]
    return [
        make("target", "target", TARGET_SOURCES, MODEL_QUESTIONS, HELD_OUT_SEED, MARGIN),
        *(make(family.name, "anchor", [family.source], MODEL_QUESTIONS, HELD_OUT_SEED, MARGIN) for family in anchors),
    ]


def sampled(problems: Sequence[Problem], folder: Path, samples: int, seed: int, cache: Path) -> Rights:
    """Whether each of ``samples`` answers to each problem is right (Q x S), at temperature 1; block by block."""
    from loopwise.engine.embedded.local import LocalEngine
    from loopwise.verify.table import resolve

    prompts = [problem.messages for problem in problems]
    verifiers = {name: resolve(name) for name in {problem.verifier for problem in problems}}
    known: list[dict[str, bool]] = [{} for _ in problems]
    blocks: list[Rights] = []
    began = time.monotonic()
    with LocalEngine(folder.parent) as engine:
        asked = hashlib.sha256(repr([p.key for p in problems]).encode()).hexdigest()
        place = cache / f"aa-{engine.fingerprint(folder.name)[-12:]}-{asked[:12]}-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        for block in range(-(-samples // BLOCK)):
            kept = place / f"{block}.npy"
            if not kept.exists():
                # every block has a seed of its own, and each of its rows draws from a stream of its own
                params = SamplingParams(n=BLOCK, temperature=1.0, max_tokens=48, seed=seed * 1_000_000 + block)
                answers = engine.sample(folder.name, prompts, params)
                for i, completions in enumerate(answers):
                    for text in {completion.text for completion in completions} - known[i].keys():
                        known[i][text] = verifiers[problems[i].verifier](problems[i], text) >= 1.0
                np.save(kept, np.array([[known[i][c.text] for c in row] for i, row in enumerate(answers)]))
                say(f"  {(block + 1) * BLOCK} of {samples} answers per question, {time.monotonic() - began:.0f} s")
            blocks.append(np.load(kept))
    return np.concatenate(blocks, axis=1)[:, :samples]


def of_model(folder: Path, trials: int, seed: int, cache: Path) -> Cell:
    """One cell: the embedded model against itself."""
    from loopwise.engine.embedded.weights import fingerprint

    suites = model_suites()
    right_QS = sampled([p for s in suites for p in s.problems], folder, 2 * trials, seed, cache)
    ends = np.cumsum([len(s.problems) for s in suites])
    rows = {s.name: slice(end - len(s.problems), end) for s, end in zip(suites, ends, strict=True)}

    def draw(trial: int) -> tuple[dict[str, Rights], dict[str, Rights]]:
        sides = [{name: right_QS[at, 2 * trial + side] for name, at in rows.items()} for side in (0, 1)]
        return sides[0], sides[1]

    promoted, alone = play(suites, draw, trials)
    interval = clopper_pearson(promoted, trials)
    differ = float((right_QS[:, 0::2] != right_QS[:, 1::2]).mean())
    return Cell(
        "model", float(right_QS.mean()), differ, trials, promoted, interval.low, interval.high, alone, None, None,
        fingerprint(folder),
    )  # fmt: skip


def table(cells: Sequence[Cell]) -> str:
    """Shares in percent."""
    lines = ["arm        right  discordant  promoted      95 % interval   exact   target alone  exact"]
    for c in cells:
        exact, exact_alone = ("   -" if e is None else f"{100 * e:4.1f}" for e in (c.exact, c.exact_target_alone))
        alone = 100 * c.target_alone / c.trials
        lines.append(
            f"{c.arm:10} {100 * c.right:5.1f} {100 * c.discordance:10.1f}  {100 * c.promoted / c.trials:8.1f}      "
            f"[{100 * c.low:4.1f}, {100 * c.high:4.1f}]    {exact}    {alone:10.1f}   {exact_alone}"
        )
    return "\n".join(lines)


def draw_figure(cells: Sequence[Cell], place: Path) -> None:
    """Share promoted with its interval, cell by cell, against the limit."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    at = np.arange(len(cells))
    share = np.array([c.promoted / c.trials for c in cells])
    reach = np.array([[s - c.low, c.high - s] for s, c in zip(share, cells, strict=True)]).T
    axes.errorbar(at, 100 * share, yerr=100 * reach, fmt="o", capsize=3, label="promoted, 95 % interval")
    alone = [100 * c.target_alone / c.trials for c in cells]
    axes.plot(at, alone, "x", color="tab:gray", label="passed on the target alone")
    axes.axhline(100 * LIMIT, color="tab:red", linestyle="--", label=f"limit, {100 * LIMIT:g} %")
    axes.set_xticks(at, [f"{c.arm}\n{100 * c.right:.0f} % right\n{100 * c.discordance:.0f} % differ" for c in cells])
    axes.tick_params(axis="x", labelsize=6)
    axes.set_ylim(0, 100 * LIMIT * 1.2)
    axes.set_ylabel("trials promoted, %")
    axes.set_title(f"Equal candidates that the gate promotes, {cells[0].trials} trials each")
    axes.legend(fontsize=8)
    figure.savefig(place, dpi=150)
    plt.close(figure)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Runs the arms that were asked for."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="How often is an equal candidate promoted?")
    parser.add_argument("--trials", type=int, default=1000, help="trials of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arm", choices=("simulated", "model", "both"), default="both")
    parser.add_argument("--model", type=Path, default=here.parent / "src" / "loopwise" / "tiny" / "model")
    parser.add_argument("--out", type=Path, default=here / "results")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    cells = simulated(given.trials, given.seed) if given.arm != "model" else []
    if given.arm != "simulated":
        cells.append(of_model(given.model, given.trials, given.seed, given.out / "cache"))
    say(table(cells))
    found = {
        "command": f"python benchmarks/aa.py --trials {given.trials} --seed {given.seed} --arm {given.arm}",
        "settings": {
            **asdict(SETTINGS), "margin": MARGIN, "questions": QUESTIONS, "model_questions": MODEL_QUESTIONS,
        },
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "seconds": round(time.monotonic() - began, 1),
        "cells": [{**asdict(cell), "share": cell.promoted / cell.trials} for cell in cells],
    }  # fmt: skip
    (given.out / "aa.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draw_figure(cells, given.out / "aa.png")
    worst = max(cell.promoted / cell.trials for cell in cells)
    say(f"worst cell: {100 * worst:.1f} % promoted, limit {100 * LIMIT:g} %; {found['seconds']} s; in {given.out}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
