# pyright: basic
"""What is looked at while a model trains: its loss, rows that are held out, and how far it is from its parent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers.trainer_callback import TrainerCallback

from loopwise.train import health, held_out
from loopwise.train.batches import Planned
from loopwise.train.kl import Distance
from loopwise.types import JsonObject, Progress

_CHECKS = 5  # looks at held-out rows and divergence, evenly over a run: together about 2 % of its time


class History(TrainerCallback):
    """Keeps the loss history and reports progress."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.points: list[dict[str, float]] = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not logs or "loss" not in logs:
            return
        health.check_gradient(logs["grad_norm"], state.global_step)
        point = {"loss": logs["loss"], "learning_rate": logs["learning_rate"], "gradient_norm": logs["grad_norm"]}
        self.points.append({"step": state.global_step, **point})

    def on_step_end(self, args, state, control, **kwargs):
        self.progress("train", state.global_step, state.max_steps)


class Watch(TrainerCallback):
    """Measures the held-out loss and the divergence from the parent at the start and five times, and keeps the weights
    of the best earlier check in a file, in case the last turn out clearly worse."""

    def __init__(self, held: Planned | None, n: int, distance: Distance, batch: int, folder: Path):
        self.held = held
        self.n = n
        self.distance = distance
        self.batch = batch
        self.best_file = folder / "best.safetensors"
        self.trainer: Any = None  # set once it is built
        self.checks: list[JsonObject] = []
        self.losses: dict[str, list[float]] = {}  # of the best earlier check and of the last one, for each held-out row

    def on_train_begin(self, args, state, control, **kwargs):
        if state.global_step == 0:
            self._check(0)

    def on_step_end(self, args, state, control, **kwargs):
        step, total = state.global_step, state.max_steps
        if step * _CHECKS // total > (step - 1) * _CHECKS // total:
            self._check(step, last=step == total)

    def keep_best(self) -> int:
        """Goes back to the best earlier check, if the last is clearly worse. Returns the step that is kept."""
        last = self.checks[-1]["step"]
        if not {"best", "last"} <= self.losses.keys():
            return last
        if not held_out.clearly_worse(np.asarray(self.losses["last"]), np.asarray(self.losses["best"])):
            return last
        best = load_file(self.best_file)
        with torch.no_grad():
            for name, tensor in trained(self.trainer.model).items():
                tensor.copy_(best[name])
        return min(self.checks[1:-1], key=lambda check: check["held_out_loss"])["step"]

    def noted(self) -> JsonObject:
        return {"checks": self.checks, "losses": self.losses}

    def restore(self, noted: Mapping[str, Any]) -> None:
        self.checks, self.losses = noted["checks"], noted["losses"]

    def _check(self, step: int, last: bool = False) -> None:
        check: JsonObject = {"step": step, "kl": self.distance.mean(self.trainer.model)}
        if self.held is not None:
            losses = held_out.losses(self.trainer, self.held, self.n, self.batch)
            check["held_out_loss"] = float(losses.mean())
            if last:
                self.losses["last"] = losses.tolist()
            elif step > 0 and losses.mean() < np.mean(self.losses.get("best", [np.inf])):
                self.losses["best"] = losses.tolist()
                save_file(
                    {name: tensor.contiguous() for name, tensor in trained(self.trainer.model).items()}, self.best_file
                )
        self.checks.append(check)


def trained(model) -> dict[str, torch.Tensor]:
    """The tensors that training changes, by name."""
    return {name: tensor.data for name, tensor in model.named_parameters() if tensor.requires_grad}
