# pyright: basic
"""What is to be learned, by which method, and whether it can be: all that is decided before weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from loopwise.train import held_out, memory, rows
from loopwise.train.choose import Choice, Held, choose
from loopwise.train.dpo import DPO
from loopwise.train.kto import KTO
from loopwise.train.masking import Masker
from loopwise.train.method import Chosen, Method
from loopwise.train.settings import RunSettings
from loopwise.train.sft import SFT

METHODS: dict[str, Method] = {"sft": SFT, "dpo": DPO, "kto": KTO}


@dataclass(frozen=True)
class Lesson:
    """``chosen`` is trained on, ``held`` is held out (nothing, where the dataset is small). ``max_length`` is in
    tokens; ``left_out`` counts rows by reason."""

    choice: Choice
    chosen: Chosen
    held: Chosen
    left_out: Mapping[str, int]
    need: memory.Need
    tokenizer: Any
    max_length: int

    @property
    def method(self) -> Method:
        return METHODS[self.choice.method]

    def steps(self, settings: RunSettings) -> int:
        """Of the whole run: what was asked for, within the passes that the method bears."""
        most = self.method.most_passes
        rows = len(self.chosen.drawn)
        return settings.steps if most is None else min(settings.steps, ceil(most * rows / settings.batch))

    @property
    def pad_id(self) -> int:
        return self.tokenizer.pad_token_id or 0


def prepare(dataset: Path, source: Path, settings: RunSettings) -> Lesson:
    """Reads the dataset with the tokenizer of the model folder ``source``, and chooses. Raises TrainingError."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    max_length = min(settings.max_length, config.max_position_embeddings)
    read = rows.read(dataset, Masker(tokenizer, _end_ids(source, tokenizer)), max_length)
    choice = choose(Held.of(row.kind for row in read.rows), settings.method)
    method = METHODS[choice.method]
    whole = method.chosen(read.rows)
    drawn, held = held_out.split(whole.drawn)
    unseen = {row.prompt for row in held}
    chosen = Chosen(tuple(drawn), tuple(row for row in whole.imitated if row.prompt not in unseen))
    need = memory.need(config, [*whole.drawn, *whole.imitated], settings, method.sequences)
    return Lesson(choice, chosen, Chosen(tuple(held)), read.left_out, need, tokenizer, max_length)


def _end_ids(source: Path, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer when the model serves."""
    ends = {tokenizer.eos_token_id}
    if (source / "generation_config.json").exists():
        named = GenerationConfig.from_pretrained(source).eos_token_id
        ends |= set(named) if isinstance(named, list) else {named}
    return frozenset(end for end in ends if end is not None)
