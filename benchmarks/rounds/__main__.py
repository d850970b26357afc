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
import math
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rounds.kept import Kept
from benchmarks.rounds.measure import measure, template
from benchmarks.rounds.plan import SHORT, Sizes, plan, short_plan
from benchmarks.rounds.report import gain, publish


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--short", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no further cell after so many")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    given = parser.parse_args()
    sizes, cells = (SHORT, short_plan(given.seeds)) if given.short else (Sizes(), plan(given.seeds))
    kept, began = Kept(given.out / "cache", sizes), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rounds-") as folder:
        shared = template(sizes, Path(folder) / "template")
        for cell in [cell for cell in cells if cell not in kept.done]:
            if time.monotonic() - began < 60 * given.minutes:
                kept.put(cell, measure(cell, sizes, shared))
                print(f"{cell}: {gain(kept.done[cell]):+.1f} points, {kept.done[cell]['seconds']:.0f} s", flush=True)
    if cells[0] not in kept.done:
        sys.exit("Nothing was measured yet: give more --minutes.")
    publish({cell: kept.done[cell] for cell in cells if cell in kept.done}, sizes, given.out, sys.argv[1:])


if __name__ == "__main__":
    main()
