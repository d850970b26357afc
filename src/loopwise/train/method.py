# pyright: basic
"""What a method of training is: three functions. ``run.py`` holds the table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loopwise.train.batches import Planned
from loopwise.train.rows import Row
from loopwise.train.settings import RunSettings

IMITATED = ("practice", "demonstration", "approved", "anchor")  # kinds of rows whose answer is good


@dataclass(frozen=True)
class Parent:
    """What batches are made with: the parent's model, unchanged and on its device, and what tokens need."""

    model: Any
    pad_id: int
    max_length: int


@dataclass(frozen=True)
class Chosen:
    """The rows that a method learns from: ``drawn`` make up the batches, ``imitated`` come along at each step."""

    drawn: tuple[Row, ...]
    imitated: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Method:
    """``chosen`` picks the rows; ``planned(chosen, settings, parent, steps)`` makes the batches of so many steps;
    ``build(model, tokenizer, planned, settings, scratch, callbacks, lora)`` a trainer that runs them. ``sequences`` of
    the model's input come of one drawn row at a step; ``most_passes`` over the rows are made, None for no bound."""

    chosen: Callable[[Sequence[Row]], Chosen]
    planned: Callable[[Chosen, RunSettings, Parent, int], Planned]
    build: Callable[..., Any]
    sequences: int
    most_passes: int | None
