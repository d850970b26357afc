"""What decides a training run, besides its dataset and its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loopwise.config import TrainSettings


@dataclass(frozen=True)
class SftSettings:
    """Supervised fine-tuning. ``examples`` counts the examples that are seen, repeats included.

    ``method`` "full" trains all weights, "lora" low-rank adapters that are merged before anything is judged: what
    the gate judges is what serves. ``max_length`` is in tokens, prompt and answer together. ``threads`` None leaves
    PyTorch's number as it is; results repeat bit by bit only for the same number.
    """

    method: Literal["full", "lora"] = "full"
    examples: int = 16_000
    batch: int = 32
    learning_rate: float = 2e-3
    max_length: int = 1_024
    lora_rank: int = 16
    seed: int = 0
    threads: int | None = None

    @staticmethod
    def of(settings: TrainSettings, seed: int) -> SftSettings:
        """What ``[train]`` asks for: all weights of the embedded model, adapters for a folder of your own."""
        return SftSettings(
            method="lora" if settings.base else "full",
            examples=settings.examples,
            learning_rate=settings.learning_rate,
            threads=settings.threads,
            seed=seed,
        )

    @property
    def steps(self) -> int:
        return max(1, round(self.examples / self.batch))
