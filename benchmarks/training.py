"""Examples per second of supervised fine-tuning on the embedded model: Loopwise's path and what it is compared with.

    python benchmarks/training.py [--threads 2] [--rounds 5] [--examples 3200] [--out FOLDER]

All arms train the same model on the same rows and batches of 64 in float32; their runs are interleaved.

- loopwise: the trainer that ``train`` runs.
- SFTTrainer, defaults: TRL's own, told only what a CPU needs (use_cpu, no bf16); it checkpoints gradients.
- SFTTrainer, tuned: besides no checkpointing, and rows grouped by length.
- bare loop: a PyTorch loop over the Hugging Face model with attention mask, the model's own loss and fused AdamW.

Rows arrive tokenized in every arm, and only training itself is timed. "Per CPU second" divides by the processor time
used, which other processes disturb less than the time on the wall. Writes training.json and training.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import torch
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.trainer_callback import PrinterCallback
from transformers.utils.logging import disable_progress_bar
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from loopwise.curate.anchors import load
from loopwise.train import RunSettings
from loopwise.train.batches import IGNORED, Batches, schedule
from loopwise.train.masking import Conversation, Masked, Masker
from loopwise.train.norm import use_fast_norms
from loopwise.train.rows import TokenRow
from loopwise.train.sft import build
from loopwise.train.watch import History

TINY = Path(__file__).parents[1] / "src" / "loopwise" / "tiny"
BATCH = 64
RATE = 2e-3


@dataclass(frozen=True)
class Timed:
    """Examples per second of one run: on the wall, and of processor time."""

    wall: float
    cpu: float


def timed(n: int, work: Callable[[], object]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timed(n / (time.perf_counter() - wall), n / (time.process_time() - cpu))


def loopwise(rows: Sequence[TokenRow], steps: int, scratch: Path) -> Timed:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(TINY / "model"), tokenizer_of()
    use_fast_norms(model)
    settings = RunSettings(examples=steps * BATCH, batch=BATCH, learning_rate=RATE)
    plan_SB = schedule([len(row.ids) for row in rows], BATCH, steps, seed=0)
    history = History(lambda step, done, total: None)
    trainer = build(model, tokenizer, Batches(rows, plan_SB, 0), settings, scratch, [history])
    return timed(steps * BATCH, trainer.train)


def plain_sft(rows: Sequence[TokenRow], steps: int, scratch: Path, **settings: object) -> Timed:
    labels = [[IGNORED] * row.start + list(row.ids[row.start :]) for row in rows]
    data = Dataset.from_dict({"input_ids": [list(row.ids) for row in rows], "labels": labels})
    config = SFTConfig(
        output_dir=str(scratch),
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        learning_rate=RATE,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    model = AutoModelForCausalLM.from_pretrained(TINY / "model")
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer_of())
    trainer.remove_callback(PrinterCallback)
    return timed(steps * BATCH, trainer.train)


def tuned_sft(rows: Sequence[TokenRow], steps: int, scratch: Path) -> Timed:
    faster = {"gradient_checkpointing": None, "activation_checkpointing": False}
    return plain_sft(rows, steps, scratch, train_sampling_strategy="group_by_length", **faster)


def bare_loop(rows: Sequence[TokenRow], steps: int, scratch: Path) -> Timed:
    model = AutoModelForCausalLM.from_pretrained(TINY / "model").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    batches = Batches(rows, schedule([len(row.ids) for row in rows], BATCH, steps, seed=0), 0)
    lengths = torch.tensor([len(row.ids) for row in rows])

    def train() -> None:
        for step in range(steps):
            batch = batches[step]
            length = batch["input_ids"].shape[1]
            mask_BT = torch.arange(length) < lengths[batches.plan[step]][:, None]
            model(input_ids=batch["input_ids"], labels=batch["labels"], attention_mask=mask_BT.long()).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return timed(steps * BATCH, train)


ARMS = {
    "loopwise": loopwise,
    "SFTTrainer, defaults": plain_sft,
    "SFTTrainer, tuned": tuned_sft,
    "bare loop": bare_loop,
}


def tokenizer_of():
    return AutoTokenizer.from_pretrained(TINY / "model")


def corpus_rows() -> list[TokenRow]:
    """The embedded model's corpus, in tokens."""
    corpus = load(TINY / "anchors.jsonl")
    conversations = [
        Conversation(
            [dict(message) for message in example.messages], {"role": "assistant", "content": example.completion}
        )
        for example in corpus
    ]
    tokenizer = tokenizer_of()
    masked = Masker(tokenizer, frozenset({tokenizer.eos_token_id})).mask(conversations)
    return [TokenRow(row.ids, row.start, 1.0) for row in masked if isinstance(row, Masked)]


def summary(runs: Sequence[Timed]) -> dict[str, dict[str, float]]:
    return {
        clock: {"median": statistics.median(values), "low": min(values), "high": max(values)}
        for clock in ("wall", "cpu")
        if (values := [asdict(run)[clock] for run in runs])
    }


def draw(arms: dict[str, dict[str, dict[str, float]]], threads: int, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    names = list(arms)[::-1]
    medians = [arms[name]["wall"]["median"] for name in names]
    spread = [
        [arms[name]["wall"]["median"] - arms[name]["wall"]["low"] for name in names],
        [arms[name]["wall"]["high"] - arms[name]["wall"]["median"] for name in names],
    ]
    axes.barh(names, medians, xerr=spread, color="#1f5fbf", ecolor="#444444", capsize=3)
    axes.set_xlabel(f"examples per second, {threads} threads (median, range)")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=3_200, help="seen by each run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    disable_progress_bar()
    disable_progress_bars()
    rows, steps = corpus_rows(), max(1, args.examples // BATCH)
    runs: dict[str, list[Timed]] = {name: [] for name in ARMS}
    for round_index in range(args.rounds):
        for name, arm in ARMS.items():
            with TemporaryDirectory() as scratch:
                runs[name].append(arm(rows, steps, Path(scratch)))
            print(f"round {round_index + 1}: {name:22s} {runs[name][-1].wall:6.0f} examples/s", file=sys.stderr)
    arms = {name: summary(found) for name, found in runs.items()}
    lengths = [len(row.ids) for row in rows]
    document = {
        "command": "python benchmarks/training.py " + " ".join(sys.argv[1:]),
        "examples_per_second": arms,
        "threads": args.threads,
        "cores": os.cpu_count(),
        "rounds": args.rounds,
        "examples": steps * BATCH,
        "batch": BATCH,
        "tokens": {"median": statistics.median(lengths), "low": min(lengths), "high": max(lengths)},
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "accelerate")},
        "machine": platform.processor() or platform.machine(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "training.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draw(arms, args.threads, args.out / "training.png")
    print(json.dumps(arms, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
