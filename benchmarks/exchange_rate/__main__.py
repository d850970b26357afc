"""What is one feedback event worth, in examples of the corpus?

    python -m benchmarks.exchange_rate [--seeds N] [--part classifier|model|all] [--short] [--out FOLDER]

Run it in the root of the repository. A model learns from a seed corpus; users then ask it from the same distribution or
from another one, and say what they think of its answers. Every arm trains that model further for the same number of
optimizer steps, on the seed corpus and what the arm adds: more corpus, right answers to what users ask, feedback by
kind and noise, random feedback, or nothing (extra compute alone). One arm trains nothing and retrieves corrections.
All are scored on held-out questions of the users. An event's worth is the horizontal gap between learning curves.

- classifier: a small network, the full grid of shift, kind, noise and number of events, 7 seeds.
- model: the embedded language model, one factor at a time, 5 seeds.

One thread. Each cell is kept as it is done, and a run that was cut short goes on. Writes exchange_rate.json and .png.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks.exchange_rate import plan
from benchmarks.exchange_rate.kept import Kept, Scores
from benchmarks.exchange_rate.plan import Cell, Part, Sizes

Run = Callable[[int, Iterable[Cell], Sizes], Iterator[tuple[Cell, Scores]]]


@dataclass(frozen=True)
class Measured:
    """A part of the benchmark: its cells by seed, how they are measured, and the code that decides their scores."""

    cells: Callable[[int, Sizes], Iterator[Cell]]
    full: Sizes
    short: Sizes
    seeds: int
    code: tuple[str, ...]


PARTS: dict[Part, Measured] = {
    "classifier": Measured(
        plan.classifier_cells, plan.CLASSIFIER, plan.CLASSIFIER_SHORT, 7, ("network.py", "task.py", "classifier.py")
    ),
    "model": Measured(plan.model_cells, plan.MODEL, plan.MODEL_SHORT, 5, ("language.py",)),
}


def runner(part: Part) -> Run:
    """What measures a part; torch is loaded only for the language model."""
    if part == "classifier":
        from benchmarks.exchange_rate.classifier import run
    else:
        from benchmarks.exchange_rate.language import run
    return run


def measure(part: Part, sizes: Sizes, seeds: int, kept: Kept) -> dict[Cell, Scores]:
    """Scores of all cells of a part; those that are kept already are not measured again."""
    wanted = [list(PARTS[part].cells(seed, sizes)) for seed in range(seeds)]
    began = time.monotonic()
    for seed, cells in enumerate(wanted):
        missing = [cell for cell in cells if cell not in kept.scores]
        if missing:
            for cell, scores in runner(part)(seed, missing, sizes):
                kept.put(cell, scores)
            print(f"{part}, seed {seed}: {len(missing)} cells, {time.monotonic() - began:.0f} s", flush=True)
    return {cell: kept.scores[cell] for cells in wanted for cell in cells}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exchange_rate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, help="of every part; default: 7 and 5")
    parser.add_argument("--part", choices=(*get_args(Part), "all"), default="all")
    parser.add_argument("--short", action="store_true", help="small sizes and few cells, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    return parser.parse_args()


def main() -> int:
    from benchmarks.exchange_rate import report

    given = parsed()
    parts: tuple[Part, ...] = get_args(Part) if given.part == "all" else (given.part,)
    found: dict[Part, tuple[Sizes, dict[Cell, Scores]]] = {}
    for part in parts:
        sizes = PARTS[part].short if given.short else PARTS[part].full
        kept = Kept(given.out / "cache", part, sizes, PARTS[part].code)
        found[part] = sizes, measure(part, sizes, given.seeds or PARTS[part].seeds, kept)
    report.publish(found, given.out, sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
