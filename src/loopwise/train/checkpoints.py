# pyright: basic
"""A training that was killed goes on where it was: checkpoints in a hidden folder beside the candidate's."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from transformers.trainer_callback import TrainerCallback

from loopwise.types import JsonObject

_RUN, _STATE = "run.json", "loopwise.json"
_SHARE = 20  # a checkpoint may take at most one part in so many of the time


def opened(out: Path, run: JsonObject) -> tuple[Path, Path | None]:
    """The folder of checkpoints for ``out``, and the last whole checkpoint in it, if there is one.

    What lies there of another ``run`` (dataset, parent, settings, versions: everything that decides the weights) is
    removed: its steps are not this run's.
    """
    folder = out.with_name(f".{out.name}.training")
    told = folder / _RUN
    if not told.exists() or json.loads(told.read_text(encoding="utf-8")) != run:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        partial = folder / f"{_RUN}.partial"
        partial.write_text(json.dumps(run), encoding="utf-8")
        partial.rename(told)
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{_STATE}")]
    return folder, max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def state(checkpoint: Path) -> JsonObject:
    """What was noted in a checkpoint besides weights and optimizer."""
    return json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))


class Saving(TrainerCallback):
    """Asks for a checkpoint every ``every_s`` seconds, more rarely where one takes long, and marks whole ones.

    When it is made changes no result: a step is the same whether it follows a checkpoint or the step before.
    """

    def __init__(self, folder: Path, every_s: float, noted: Callable[[], JsonObject]):
        self.folder = folder
        self.every_s = every_s
        self.noted = noted
        self.last = time.monotonic()
        self.asked = 0.0

    def on_step_end(self, args, state, control, **kwargs):
        now = time.monotonic()
        if now - self.last >= self.every_s and state.global_step < state.max_steps:
            control.should_save = True
            self.asked = now

    def on_save(self, args, state, control, **kwargs):
        folder = self.folder / f"checkpoint-{state.global_step}"
        partial = folder / f"{_STATE}.partial"
        partial.write_text(json.dumps(self.noted()), encoding="utf-8")
        partial.rename(folder / _STATE)  # the last file: a checkpoint without it was cut short
        self.last = time.monotonic()
        self.every_s = max(self.every_s, _SHARE * (self.last - self.asked)) if self.every_s else 0.0
