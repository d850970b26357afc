"""What is measured: sizes, and the cells of arms and factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Arm = Literal["rounds", "once", "control"]


@dataclass(frozen=True)
class Sizes:
    """``held_out`` is the suite's questions; ``probe`` the questions that the first model is asked as at the first and
    at the last round, to see whether these differ."""

    rounds: int = 9
    held_out: int = 2_000
    probe: int = 5_000


SHORT = Sizes(rounds=2, held_out=40, probe=40)


@dataclass(frozen=True)
class Cell:
    """In each round: ``events``, and ``examples`` that training sees, repeats counted. ``rehearsed`` is the share of
    the dataset that comes from the corpus that the first model was made from, as in the paper."""

    seed: int
    arm: Arm
    events: int = 200
    method: Literal["auto", "sft"] = "auto"
    examples: int = 2_000
    rehearsed: float = 0.8
    learning_rate: float = 5e-4

    @property
    def group(self) -> Cell:
        """What it shares with the same cell of other seeds."""
        return replace(self, seed=0)


def plan(seeds: Sequence[int]) -> list[Cell]:
    """The arms of all seeds come first, then the factors."""
    arms: tuple[Arm, ...] = ("control", "rounds", "once")
    cells = [Cell(seed, arm) for seed in seeds for arm in arms]
    learned: tuple[Arm, ...] = ("rounds", "once")
    cells += [Cell(seed, arm, n, "sft") for n in (200, 2_000) for seed in seeds for arm in learned]
    return cells + [Cell(seed, arm, 2_000, "sft", 16_000) for seed in seeds for arm in reversed(learned)]


def short_plan(seeds: Sequence[int]) -> list[Cell]:
    return [Cell(seed, arm, 20, examples=64) for seed in seeds for arm in ("control", "rounds", "once")]
