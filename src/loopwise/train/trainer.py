# pyright: basic
"""What TRL's trainers share here: batches that are fixed beforehand, and nothing computed beyond the loss.

Left out of TRL's steps: entropy and token accuracy, the logits of prompt tokens, the attention mask (``batches.py``
says why), ``datasets.map`` (rows arrive tokenized), telemetry. ``benchmarks/training.py`` measures what that gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback

from loopwise.train import health
from loopwise.train.batches import Batch, Planned
from loopwise.train.settings import RunSettings

_WARMUP = 0.05  # of all steps: AdamW's first steps are blind to the gradient's scale
_LOGGED = 50  # points in the loss history


class PlannedTrainer(Trainer, ABC):
    """Mixed into one of TRL's trainers, before it: trains on planned batches by its ``batch_loss``."""

    planned: Planned
    done: int = 0  # steps that an earlier, killed process made

    @abstractmethod
    def terms(self, model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """What the loss is the weighted mean of, and the weights."""

    @abstractmethod
    def row_losses(self, model, batch: Batch) -> torch.Tensor:
        """One loss for each row, to compare models by on rows that are held out."""

    def batch_loss(self, model, batch: Batch) -> torch.Tensor:
        losses, weights = self.terms(model, batch)
        return (losses * weights).sum() / weights.sum()

    def get_train_dataloader(self) -> DataLoader:
        return DataLoader(_From(self.planned, self.done), batch_size=None, shuffle=False)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = self.batch_loss(model, inputs)
        return (loss, None) if return_outputs else loss

    def training_step(self, *args, **kwargs) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        health.check_loss(loss.item(), self.state.global_step + 1)
        return loss

    def floating_point_ops(self, inputs) -> int:
        """Not counted: walking all parameters at every step costs 2 % on a small model."""
        return 0

    def _issue_warnings_after_load(self, load_result) -> None:
        """Silent about an output head that is the embedding, and so is no tensor of its own in a checkpoint."""
        tied = set(getattr(self.model, "_tied_weights_keys", None) or ())
        load_result.missing_keys[:] = set(load_result.missing_keys) - tied
        super()._issue_warnings_after_load(load_result)

    def create_model_card(self, *args, **kwargs) -> None:
        """Checkpoints are for resuming alone."""

    def _send_telemetry(self) -> None:
        """Training tells nobody outside."""

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset

    def _precompute_ref_logps(self, dataset, *args, **kwargs):
        """The parent's log-probabilities come with the planned batches."""
        return dataset


class _From(Dataset):
    """Planned batches from step ``done`` on. As long as all of them, so that Trainer counts steps as it did before."""

    def __init__(self, planned: Planned, done: int):
        self.planned = planned
        self.done = done

    def __len__(self) -> int:
        return len(self.planned)

    def __getitem__(self, step: int) -> Batch:
        if step + self.done >= len(self):
            raise IndexError(step)
        return self.planned[step + self.done]


def arguments(settings: RunSettings, steps: int, learning_rate: float, scratch: Path) -> dict[str, Any]:
    """What TRL's configurations share; ``scratch`` is where checkpoints go, when a callback asks for one."""
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(scratch),
        "per_device_train_batch_size": settings.batch,
        "max_steps": steps,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": round(_WARMUP * steps),
        "optim": "adamw_torch_fused",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "seed": settings.seed,
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "gradient_checkpointing": None,  # the old name, which TRL turns on
        "activation_checkpointing": False,
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "logging_strategy": "steps",
        "logging_steps": max(1, steps // _LOGGED),
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "ignore_data_skip": True,  # a run that goes on asks for the batches from there on
        "save_strategy": "no",
        "save_total_limit": 2,  # the one before stays until a new one is whole
        "report_to": "none",
        "disable_tqdm": True,
    }


def ready(trainer: Any, planned: Planned) -> Any:
    """The trainer, told what to train on, and silent."""
    trainer.planned = planned
    trainer.remove_callback(PrinterCallback)
    return trainer
