"""What is each guard between feedback and training worth, alone and together?

    python -m benchmarks.guards [--seeds N] [--short] [--out FOLDER]

Run it in the root of the repository. People of known truth use the embedded model for a week; they err at 0 to 40 %,
and up to a fifth as many accounts push one wrong answer. For each arm the recorded feedback is weighed and curated by
Loopwise with some guards and without others, and the shipped model learns what is left. Told are the share of what
people made the model imitate that is right, held-out accuracy, and how often the attackers' answer is given.

One thread. Each cell is kept as it is done, and a run that was cut short goes on. Writes guards.json and .png.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.guards import report
from benchmarks.guards.arms import ARMS, Dose, measure
from benchmarks.guards.world import Conditions, World


@dataclass(frozen=True)
class Sizes:
    """``events`` questions by honest people, drawn from a ``pool`` of different ones; ``examples`` that training sees;
    ``held_out`` questions of each family."""

    noises: tuple[float, ...]
    hostiles: tuple[float, ...]
    events: int
    pool: int
    examples: int
    held_out: int


FULL = Sizes((0.0, 0.2, 0.4), (0.0, 0.1, 0.2), events=3_600, pool=1_200, examples=6_400, held_out=200)
SHORT = Sizes((0.3,), (0.2,), events=300, pool=100, examples=64, held_out=10)
RESULTS = Path(__file__).parents[1] / "results"
Cell = tuple[int, float, float, str]  # seed, noise, hostile, arm


class Kept:
    """Cells that are measured, a JSON line each, in a file that is named by the sizes."""

    def __init__(self, folder: Path, sizes: Sizes):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"guards-{sizes.events}-{sizes.pool}-{sizes.examples}-{sizes.held_out}.jsonl"
        self.cells: dict[Cell, dict[str, float]] = {}
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        for line in lines:
            if line.endswith("\n"):  # one that a kill cut short is measured again
                row = json.loads(line)
                self.cells[tuple(row["cell"])] = row["figures"]
        if lines and not lines[-1].endswith("\n"):
            self.path.write_text("".join(lines[:-1]), encoding="utf-8")

    def put(self, cell: Cell, figures: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cell": cell, "figures": figures}) + "\n")
        self.cells[cell] = figures


def main() -> int:
    given = parsed()
    sizes, began = SHORT if given.short else FULL, time.monotonic()
    kept = Kept(given.out / "cache", sizes)
    bases = []
    for seed in range(given.seeds):
        world = World(seed, sizes.events, sizes.pool, sizes.held_out)
        bases.append(dict(world.base))
        for noise in sizes.noises:
            for hostile in sizes.hostiles:
                missing = [arm for arm in ARMS if (seed, noise, hostile, arm) not in kept.cells]
                for arm, figures in measure(world, Conditions(noise, hostile), missing, Dose(sizes.examples)):
                    kept.put((seed, noise, hostile, arm), figures)
                print(
                    f"seed {seed}, noise {noise:.0%}, hostile {hostile:.0%}: {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    document = {
        "command": f"python -m benchmarks.guards {' '.join(sys.argv[1:])}".strip(),
        "sizes": asdict(sizes),
        "seeds": given.seeds,
        "versions": {name: version(name) for name in ("loopwise", "torch", "trl", "numpy")},
        "machine": f"{platform.machine()}, one thread",
        "base": bases,
        "summary": report.summary(kept.cells, bases, sizes.noises, sizes.hostiles),
        "cells": [{"seed": s, "noise": n, "hostile": h, "arm": a, **f} for (s, n, h, a), f in kept.cells.items()],
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "guards.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(report.table(document["summary"]))
    report.plot(document["summary"], given.out / "guards.png")
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guards", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="a form of seconds, as the tests run it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
