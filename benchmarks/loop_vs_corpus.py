"""What does the loop add over more training on the corpus it began with?

Arms, per seed: the demo (people, practice, gate, five turns), and a control that trains the same base for the same
number of turns with the same trainer, settings and examples per turn, on the up-front corpus alone. Both are scored on
the final suite, which no gate reads. Prints medians and ranges over the seeds; writes JSON and PNG.

    python benchmarks/loop_vs_corpus.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from loopwise.cli.progress import silent
from loopwise.cli.project import Project, opened
from loopwise.types import Example, Release

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            row = one_seed(seed, given.turns, Path(folder))
        rows.append(row)
        print(line(row), flush=True)
    print(summary(rows))
    given.out.mkdir(parents=True, exist_ok=True)
    document = {
        "command": f"python {' '.join(sys.argv)}",
        "versions": {name: version(name) for name in ("loopwise", "torch", "trl", "transformers")},
        "rows": rows,
    }
    (given.out / "loop_vs_corpus.json").write_text(json.dumps(document, indent=1))
    plot(rows, given.out / "loop_vs_corpus.png")


def one_seed(seed: int, turns: int, folder: Path) -> dict:
    command = [sys.executable, "-m", "loopwise.cli.main", "demo", "--dir", str(folder / "demo"), "--turns", str(turns)]
    printed = subprocess.run([*command, "--seed", str(seed), "--json"], check=True, capture_output=True, text=True)
    demo = json.loads(printed.stdout)
    began = time.monotonic()
    control = corpus_alone(folder / "demo", turns, seed)
    return {"seed": seed, "demo": demo, "control": control, "control_seconds": time.monotonic() - began}


def corpus_alone(project_dir: Path, turns: int, seed: int) -> list[dict]:
    """Scores after each turn of the control, on the demo's final suite."""
    from loopwise.cli.output import scored
    from loopwise.config import CurateSettings
    from loopwise.curate import pipeline
    from loopwise.engine.embedded.local import LocalEngine
    from loopwise.practice.rollout import score_suite
    from loopwise.stats.intervals import mean_interval
    from loopwise.tiny import corpus
    from loopwise.train import RunSettings, train
    from loopwise.verify.pool import VerifierPool

    found = []
    with opened(project_dir) as project, VerifierPool() as pool, LocalEngine(project.settings.models) as engine:
        settings = project.settings
        rows = [Example(row.messages, row.completion, "demonstration", row.source, (row.id,)) for row in corpus.build()]
        uncapped = CurateSettings(per_prompt=len(rows))
        dataset = pipeline.curate(rows, [], [], uncapped, pipeline.Guards(), 0.0, settings.dir / "control")
        suite, parent = project.suite("final"), located(project, "tiny@0")
        for turn in range(1, turns + 1):
            wanted = RunSettings.of(settings.train, seed * 1_000 + turn)
            made = train(dataset, parent, settings.models / f"control@{turn}", wanted, silent)
            parent = Release(made.name, "candidate", made.parent, dataset.name, made.fingerprint, str(made.path), 0.0)
            scores = score_suite(engine, pool, made.name, suite).scores
            found.append(scored(mean_interval([float(score >= 1.0) for score in scores])))
    return found


def located(project: Project, name: str) -> Release:
    """The release with its folder as it is found from here."""
    release = project.release(name)
    return replace(release, path=str(project.dir / release.path))


def gains(row: dict) -> tuple[float, float]:
    """Points that the demo and the control gained over the base."""
    base = row["demo"]["base"]["target"]["score"]
    return 100 * (row["demo"]["champion"]["target"]["score"] - base), 100 * (row["control"][-1]["score"] - base)


def line(row: dict) -> str:
    demo, control = gains(row)
    anchors = {
        name: round(100 * (row["demo"]["champion"]["anchors"][name]["score"] - before["score"]), 1)
        for name, before in row["demo"]["base"]["anchors"].items()
    }
    seconds = row["demo"]["seconds"]
    return f"seed {row['seed']}: loop {demo:+.1f}, corpus alone {control:+.1f}; anchors {anchors}; demo {seconds:.0f} s"


def summary(rows: list[dict]) -> str:
    def spread(values: list[float]) -> str:
        return f"median {statistics.median(values):+.1f} (range {min(values):+.1f} … {max(values):+.1f})"

    demo, control = zip(*(gains(row) for row in rows), strict=True)
    seconds = [row["demo"]["seconds"] for row in rows]
    return (
        f"\n{len(rows)} seeds\n"
        f"  loop          {spread(list(demo))} points\n"
        f"  corpus alone  {spread(list(control))} points\n"
        f"  demo          median {statistics.median(seconds):.0f} s (range {min(seconds):.0f} … {max(seconds):.0f})"
    )


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=140)
    for i, row in enumerate(rows):
        base = row["demo"]["base"]["target"]
        loop = [base, *(turn["target"] for turn in row["demo"]["turns"])]
        for scores, color, name in ((loop, "#1f5fbf", "loop"), ([base, *row["control"]], "#9a6a1f", "corpus alone")):
            heights = [100 * score["score"] for score in scores]
            axes.plot(range(len(heights)), heights, marker="o", color=color, alpha=0.75, label=name if i == 0 else None)
    axes.set_xlabel("turn (the same number of training examples each)")
    axes.set_ylabel("right answers on the final suite, %")
    axes.set_ylim(0, 104)
    axes.set_title(f"The loop against more training on its corpus, {len(rows)} seeds", loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
