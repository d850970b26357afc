# pyright: basic
"""Expert iteration by TRL's ``SFTTrainer``: the parent learns the answers that proved right."""

from __future__ import annotations

import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import StoreError
from loopwise.train import folder, health, rows
from loopwise.train.batches import Batches, schedule
from loopwise.train.norm import use_fast_norms
from loopwise.train.settings import SftSettings
from loopwise.train.trainer import History, build
from loopwise.types import Candidate, Dataset, JsonObject, Progress, Release

_LIBRARIES = ("loopwise", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors", "numpy")


def train_sft(dataset: Dataset, parent: Release, out: Path, settings: SftSettings, progress: Progress) -> Candidate:
    """Trains ``parent`` (its path is a Hugging Face folder) on ``dataset`` and writes the candidate's folder ``out``.

    ``out`` is complete (configuration, safetensors, tokenizer, chat template) and appears in one step; its name is
    the candidate's. LoRA adapters are merged into the weights first. The same dataset, parent, settings, seed and
    number of threads on the same machine type give the same fingerprint. Not covered: several devices, and batches
    that do not fit in memory at once. Raises TrainingError: nothing to learn from, loss not a number, weights
    unchanged; StoreError: a parent that is not what its release says, or other weights in ``out``.
    """
    began = time.monotonic()
    source = Path(parent.path)
    base = fingerprint(source)
    if base != parent.fingerprint:
        raise StoreError(
            f"The folder {source} of the release {parent.name!r} holds {base[:19]}…, not the weights "
            f"{parent.fingerprint[:19]}… that were released: restore the folder before training from it."
        )
    threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads_before)
    disable_progress_bar()  # of loading and saving: ``progress`` is what callers are told by
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model, native = _load(source, settings)
        longest = min(settings.max_length, model.config.max_position_embeddings)
        read = rows.read(dataset.path, tokenizer, longest)
        plan_SB = schedule([len(row.ids) for row in read.rows], settings.batch, settings.steps, settings.seed)
        history = History(progress)
        with TemporaryDirectory(prefix="loopwise-train-") as scratch:
            pad_id = tokenizer.pad_token_id or 0
            trainer = build(model, tokenizer, Batches(read.rows, plan_SB, pad_id), settings, Path(scratch), history)
            prepared = time.monotonic()
            trainer.train()
        trained_s = time.monotonic() - prepared
        merged = model.merge_and_unload() if settings.method == "lora" else model
        made = folder.write(merged.to(native), source, out, lambda new: health.check_changed(base, new))
        metrics = _metrics(history, settings, read, trained_s, time.monotonic() - began)
    finally:
        torch.set_num_threads(threads_before)
    return Candidate(
        name=out.name,
        parent=parent.name,
        dataset=dataset.name,
        trainer="sft",
        settings=asdict(settings),
        seed=settings.seed,
        metrics=metrics,
        fingerprint=made,
        path=out,
        versions={"python": python_version(), **{library: version(library) for library in _LIBRARIES}},
    )


def _load(source: Path, settings: SftSettings) -> tuple[Any, torch.dtype]:
    """The model to train, and the precision in which it is saved: that of the parent, since that is what serves."""
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto", use_safetensors=True, trust_remote_code=False)
    native = model.dtype
    if settings.method == "full":
        model = model.float()  # AdamW's steps are smaller than half precision resolves
        if not torch.cuda.is_available():
            use_fast_norms(model)
        return model, native
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)  # adapters begin at random
    rank = settings.lora_rank
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, lora), native


def _metrics(
    history: History, settings: SftSettings, read: rows.TokenRows, trained_s: float, all_s: float
) -> JsonObject:
    points = history.points
    seen = settings.steps * settings.batch
    return {
        "steps": settings.steps,
        "examples": seen,
        "rows": len(read.rows),
        "rows_too_long": read.too_long,
        "passes": seen / len(read.rows),
        "seconds": all_s,
        "training_seconds": trained_s,
        "examples_per_second": seen / trained_s,
        "threads": torch.get_num_threads(),
        "first_loss": points[0]["loss"],
        "last_loss": points[-1]["loss"],
        "gradient_norm": points[-1]["gradient_norm"],
        "history": points,
    }
