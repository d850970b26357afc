# pyright: basic
"""Completions per second: the embedded engine against the generation phase of TRL's GRPOTrainer.

    OMP_NUM_THREADS=2 python benchmarks/sampling.py

All arms sample the same embedded model on the same prompts, eight completions each, at temperature 1 and at most 24
tokens, text in and text out. TRL's generation phase is ``GRPOTrainer._generate``: template, tokenize, generate, decode.
At its defaults TRL refuses to start on a machine without a GPU, so ``use_cpu`` is set there too, and nothing else. The
arms are timed in turn within each repeat, so that whatever else the machine does meets all of them. TRL may use
every core in one process (as it does by itself); the engine uses one process of one thread for each core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import datasets
import torch
import transformers
import trl
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from trl import GRPOConfig, GRPOTrainer

from loopwise.engine.embedded.local import LocalEngine
from loopwise.engine.embedded.weights import fingerprint
from loopwise.practice.sources import PRACTICE, take
from loopwise.tiny import MODEL
from loopwise.tiny.families import TARGET_SOURCES
from loopwise.types import SamplingParams

COMPLETIONS = 8
MAX_TOKENS = 24
TUNED_BATCH = 1_024
RESULTS = Path(__file__).parent / "results"

Prompt = list[dict[str, str]]
Arm = Callable[[int], tuple[int, int]]  # repeat -> completions, tokens


@dataclass(frozen=True)
class Measured:
    """One arm: completions per second in each repeat, and tokens per completion."""

    arm: str
    rates: tuple[float, ...]
    tokens: float

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


def prompts(count: int, seed: int = 31_000_000) -> list[Prompt]:
    """Questions of the five target families in equal parts, shuffled."""
    asked = [[dict(message) for message in p.messages] for p in take(TARGET_SOURCES, count, seed, PRACTICE)]
    random.Random(0).shuffle(asked)
    return asked


@contextmanager
def engine_arm(asked: list[Prompt], processes: int) -> Iterator[Arm]:
    """The local engine in ``processes`` processes of one thread each."""
    with tempfile.TemporaryDirectory() as models, LocalEngine(Path(models), processes) as engine:
        shutil.copytree(MODEL, Path(models) / "tiny@0")

        def arm(repeat: int) -> tuple[int, int]:
            params = SamplingParams(n=COMPLETIONS, max_tokens=MAX_TOKENS, seed=repeat)
            answers = engine.sample("tiny@0", asked, params)
            completions = [completion for answer in answers for completion in answer]
            return len(completions), sum(completion.tokens for completion in completions)

        yield arm


def trl_arm(asked: list[Prompt], out: Path, **settings: object) -> Arm:
    """``GRPOTrainer._generate`` over the prompts, in batches of the trainer's own generation batch size."""
    rows = datasets.Dataset.from_list([{"prompt": prompt} for prompt in asked])
    config = GRPOConfig(output_dir=str(out), max_completion_length=MAX_TOKENS, report_to="none", **settings)
    trainer = GRPOTrainer(model=str(MODEL), reward_funcs=_no_reward, args=config, train_dataset=rows)
    trainer.model.train()
    assert config.num_generations == COMPLETIONS
    repeated = [prompt for prompt in asked for _ in range(COMPLETIONS)]
    size = config.generation_batch_size

    def arm(repeat: int) -> tuple[int, int]:
        torch.manual_seed(repeat)
        tokens = 0
        for start in range(0, len(repeated), size):
            completion_ids = trainer._generate(repeated[start : start + size])[1]
            tokens += sum(len(ids) for ids in completion_ids)
        return len(repeated), tokens

    return arm


def _no_reward(completions: list, **_: object) -> list[float]:
    return [0.0] * len(completions)


def measure(arms: dict[str, Arm], repeats: int) -> list[Measured]:
    """Times the arms in turn, ``repeats`` times after one round of warming up."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    lengths: dict[str, float] = {}
    for repeat in range(repeats + 1):
        for name, arm in arms.items():
            began = time.perf_counter()
            completions, tokens = arm(repeat)
            seconds = time.perf_counter() - began
            if repeat > 0:
                rates[name].append(completions / seconds)
                lengths[name] = tokens / completions
    return [Measured(name, tuple(rates[name]), lengths[name]) for name in arms]


def write(measured: list[Measured], settings: dict[str, object]) -> None:
    """The JSON and the figure under ``results/``."""
    RESULTS.mkdir(exist_ok=True)
    rows = [{**asdict(arm), "median": arm.median} for arm in measured]
    document = {"settings": settings, "arms": rows}
    (RESULTS / "sampling.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    medians = [arm.median for arm in measured]
    spread = [
        [arm.median - min(arm.rates) for arm in measured],
        [max(arm.rates) - arm.median for arm in measured],
    ]
    axes.barh([arm.arm for arm in measured], medians, xerr=spread, color="#4477aa", ecolor="black", capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"completions per second (median and range of {len(measured[0].rates)} repeats)")
    figure.savefig(RESULTS / "sampling.png", dpi=150)


def show(measured: list[Measured]) -> None:
    """The table."""
    table = Table("arm", "completions/s", "range", "tokens each", "engine is faster by")
    for arm in measured:
        table.add_row(
            arm.arm,
            f"{arm.median:,.0f}",
            f"{min(arm.rates):,.0f} to {max(arm.rates):,.0f}",
            f"{arm.tokens:.1f}",
            f"{measured[0].median / arm.median:.1f}x",
        )
    Console().print(table)


def main() -> None:
    """Reads the command line, measures, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=640, help="multiple of 5")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch|transformers|trl")
    cores = len(os.sched_getaffinity(0))
    asked = prompts(arguments.prompts)
    few = asked[: max(1, len(asked) // 10)]  # at its defaults TRL generates eight completions at a time
    with tempfile.TemporaryDirectory() as out, engine_arm(asked, cores) as ours:
        tuned = {
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "generation_batch_size": min(TUNED_BATCH, COMPLETIONS * len(asked)),
        }
        measured = measure(
            {
                f"loopwise, {cores} processes": ours,
                "TRL GRPOTrainer, defaults": trl_arm(few, Path(out), use_cpu=True),
                "TRL GRPOTrainer, tuned": trl_arm(asked, Path(out), **tuned),
            },
            arguments.repeats,
        )
    settings = {
        "prompts": len(asked),
        "prompts_at_defaults": len(few),
        "completions_per_prompt": COMPLETIONS,
        "max_tokens": MAX_TOKENS,
        "tuned": tuned,
        "model": fingerprint(MODEL),
        "cores": cores,
        "machine": platform.machine(),
        "torch_threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__},
    }
    write(measured, settings)
    show(measured)


if __name__ == "__main__":
    main()
