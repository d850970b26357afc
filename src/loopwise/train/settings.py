"""What decides a training run, besides its dataset and its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loopwise.config import TrainSettings


@dataclass(frozen=True)
class RunSettings:
    """One training run. ``examples`` counts the examples that are seen, repeats included.

    ``method`` "auto" is chosen by what the dataset holds (``choose.py``). ``weights`` "full" trains all of them, "lora"
    low-rank adapters that are merged before anything is judged: what the gate judges is what serves. ``max_length`` is
    in tokens, prompt and answer together. ``kl_limit`` is in nats per answer token. ``threads`` None leaves PyTorch's
    number as it is; results repeat bit by bit only for the same number. ``checkpoint_s`` is the least time between two
    checkpoints; they change no result.
    """

    method: Literal["auto", "sft", "dpo", "kto"] = "auto"
    weights: Literal["full", "lora"] = "full"
    examples: int = 16_000
    batch: int = 32
    learning_rate: float = 2e-3
    max_length: int = 1_024
    lora_rank: int = 16
    kl_limit: float | None = None
    seed: int = 0
    threads: int | None = None
    checkpoint_s: float = 60.0

    @staticmethod
    def of(settings: TrainSettings, seed: int) -> RunSettings:
        """What ``[train]`` asks for; "auto" weights are all of the embedded model's, adapters for a folder of your
        own."""
        own = "lora" if settings.base else "full"
        return RunSettings(
            method=settings.method,
            weights=own if settings.weights == "auto" else settings.weights,
            examples=settings.examples,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            max_length=settings.max_length,
            kl_limit=settings.kl_limit,
            threads=settings.threads,
            seed=seed,
        )

    @property
    def steps(self) -> int:
        return max(1, round(self.examples / self.batch))
