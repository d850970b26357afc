# pyright: basic
"""One training run, from a dataset and a parent to a candidate: the file to read first in this room."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import StoreError, TrainingError
from loopwise.train import checkpoints, folder, health, kl, memory
from loopwise.train.lesson import Lesson, prepare
from loopwise.train.method import Parent
from loopwise.train.norm import use_fast_norms
from loopwise.train.settings import RunSettings
from loopwise.train.watch import History, Watch, trained
from loopwise.types import Candidate, Dataset, JsonObject, Progress, Release

_LIBRARIES = ("loopwise", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors", "numpy")


def train(dataset: Dataset, parent: Release, out: Path, settings: RunSettings, progress: Progress) -> Candidate:
    """Trains ``parent`` (its path is a Hugging Face folder) on ``dataset`` and writes the candidate's folder ``out``.

    ``out`` is complete (configuration, safetensors, tokenizer, chat template) and appears in one step; its name is
    the candidate's. LoRA adapters are merged into the weights first. The same dataset, parent, settings, seed and
    number of threads on the same machine type give the same fingerprint, also when the run was killed and called
    again. Not covered: several devices, and batches that do not fit in memory at once.

    Raises TrainingError: too little to learn from, a template that cannot be masked, not enough memory, loss not a
    number, weights unchanged; StoreError: a parent that is not what its release says, or other weights in ``out``.
    """
    began = time.monotonic()
    source = Path(parent.path)
    if (base := fingerprint(source)) != parent.fingerprint:
        raise StoreError(
            f"The folder {source} of the release {parent.name!r} holds {base[:19]}…, not the weights "
            f"{parent.fingerprint[:19]}… that were released: restore the folder before training from it."
        )
    disable_progress_bar()  # of loading and saving: ``progress`` is what callers are told by
    with _threads(settings.threads):
        lesson = prepare(dataset.path, source, settings)
        memory.check(lesson.need, memory.free_bytes(), settings)
        told = _told(dataset, base, settings)
        scratch, checkpoint = checkpoints.opened(out, told)
        try:
            model, native, metrics = _trained(lesson, source, settings, progress, scratch, checkpoint)
            made = folder.write(model.to(native), source, out, lambda new: health.check_changed(base, new))
        except TrainingError:
            shutil.rmtree(scratch)  # such a run is never continued
            raise
        shutil.rmtree(scratch)
    return Candidate(
        name=out.name,
        parent=parent.name,
        dataset=dataset.name,
        trainer=lesson.choice.method,
        settings=asdict(settings),
        seed=settings.seed,
        metrics=metrics | {"seconds": time.monotonic() - began, "threads": told["threads"]},
        fingerprint=made,
        path=out,
        versions=told["versions"],
    )


def _trained(
    lesson: Lesson, source: Path, settings: RunSettings, progress: Progress, scratch: Path, checkpoint: Path | None
) -> tuple[Any, torch.dtype, JsonObject]:
    """The trained model, adapters merged, the precision that it is saved in, and the metrics."""
    model, native = _load(source, settings)
    parent = Parent(model, lesson.pad_id, lesson.max_length)
    method, answers = lesson.method, [row.answer for row in lesson.held.drawn or lesson.chosen.drawn]
    planned = method.planned(lesson.chosen, settings, parent, lesson.steps(settings))
    held = method.planned(lesson.held, settings, parent, 0) if lesson.held.drawn else None
    distance = kl.Distance(model, answers, settings.batch, lesson.pad_id)
    history, watch = History(progress), Watch(held, len(lesson.held.drawn), distance, settings.batch, scratch)
    saving = checkpoints.Saving(
        scratch, settings.checkpoint_s, lambda: {"points": history.points, "watch": watch.noted()}
    )
    callbacks = [history, watch, saving]
    trainer = method.build(model, lesson.tokenizer, planned, settings, scratch, callbacks, _lora(settings))
    watch.trainer = trainer
    if checkpoint is not None:
        noted, trainer.done = checkpoints.state(checkpoint), checkpoints.step_of(checkpoint)
        history.points = noted["points"]
        watch.restore(noted["watch"])
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trained_s = time.monotonic() - began
    kept_step = watch.keep_best()
    share, divergence = _bound(trainer.model, source, settings, distance)
    metrics = {
        **_metrics(lesson, settings, history, trained_s),
        "checks": watch.checks,
        "kept_step": kept_step,
        "kl": {
            "measured": divergence,
            "limit": settings.kl_limit,
            "share_of_the_way": share,
            "tokens": distance.tokens,
        },
        "resumed_from": checkpoints.step_of(checkpoint) if checkpoint else None,
    }
    return trainer.model.merge_and_unload() if settings.weights == "lora" else trainer.model, native, metrics


def _load(source: Path, settings: RunSettings) -> tuple[Any, torch.dtype]:
    """The model to train, on its device, and the precision in which it is saved: that of the parent, since that is what
    serves."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        source, dtype="auto", use_safetensors=True, trust_remote_code=False
    )
    native = model.dtype
    if settings.weights == "full":
        model = model.float()  # AdamW's steps are smaller than half precision resolves
    if torch.cuda.is_available():
        return model.cuda(), native
    if settings.weights == "full":
        use_fast_norms(model)
    return model, native


def _lora(settings: RunSettings) -> Any:
    if settings.weights == "full":
        return None
    from peft import LoraConfig

    rank = settings.lora_rank
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def _bound(model: Any, source: Path, settings: RunSettings, distance: kl.Distance) -> tuple[float, float]:
    """Which share of the way from the parent is kept, for the limit's sake, and how far that is."""
    if settings.kl_limit is None:
        return 1.0, distance.mean(model)
    if settings.weights == "lora":  # what an adapter adds is proportional to its second matrix, which began at 0
        moved = {name: tensor for name, tensor in trained(model).items() if "lora_B" in name}
        zeros = {name: torch.zeros_like(tensor) for name, tensor in moved.items()}
        return kl.bounded(moved, lambda: zeros, lambda: distance.mean(model), settings.kl_limit)
    before = partial(_parent_tensors, source, settings)
    return kl.bounded(trained(model), before, lambda: distance.mean(model), settings.kl_limit)


def _parent_tensors(source: Path, settings: RunSettings) -> dict[str, torch.Tensor]:
    return trained(_load(source, settings)[0])


def _told(dataset: Dataset, base: str, settings: RunSettings) -> JsonObject:
    """Everything that decides the weights."""
    decides = {key: value for key, value in asdict(settings).items() if key != "checkpoint_s"}
    versions = {"python": python_version(), **{library: version(library) for library in _LIBRARIES}}
    threads, on = torch.get_num_threads(), "cuda" if torch.cuda.is_available() else "cpu"
    told = {"dataset": dataset.name, "parent": base, "settings": decides, "threads": threads, "on": on}
    return {**told, "versions": versions}


def _metrics(lesson: Lesson, settings: RunSettings, history: History, trained_s: float) -> JsonObject:
    points, rows = history.points, len(lesson.chosen.drawn)
    steps = lesson.steps(settings)
    seen = steps * settings.batch
    return {
        "method": lesson.choice.to_json(),
        "steps": steps,
        "examples": seen,
        "rows": rows,
        "rows_imitated": len(lesson.chosen.imitated),
        "rows_held_out": len(lesson.held.drawn),
        "left_out": dict(lesson.left_out),
        "passes": seen / rows,
        "training_seconds": trained_s,
        "examples_per_second": seen / trained_s,
        "memory_bytes": {**asdict(lesson.need), "total": lesson.need.total},
        "first_loss": points[0]["loss"],
        "last_loss": points[-1]["loss"],
        "gradient_norm": points[-1]["gradient_norm"],
        "history": points,
    }


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """PyTorch's number of threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
