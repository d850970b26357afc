# pyright: basic
"""Imitation by TRL's ``SFTTrainer``: the parent learns the answers that proved right (expert iteration)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from loopwise.train import trainer
from loopwise.train.batches import Batch, Batches, schedule
from loopwise.train.choose import LEAST
from loopwise.train.likelihood import row_sums, token_losses
from loopwise.train.method import IMITATED, Chosen, Method, Parent
from loopwise.train.rows import Row
from loopwise.train.settings import RunSettings


def chosen(rows: Sequence[Row]) -> Chosen:
    """Every answer to imitate, never a refused one. The better answers of pairs only where there is next to nothing
    else: better than another is not yet good."""
    found = [row for row in rows if row.kind in IMITATED]
    if sum(row.kind != "anchor" for row in found) < LEAST:
        found += [Row(row.kind, row.prompt, row.answer) for row in rows if row.kind == "pair"]
    return Chosen(tuple(found))


def planned(chosen: Chosen, settings: RunSettings, parent: Parent, steps: int) -> Batches:
    """Batches of answers, each row as often as the others."""
    plan_SB = schedule([row.length for row in chosen.drawn], settings.batch, steps, settings.seed)
    return Batches([row.answer for row in chosen.drawn], plan_SB, parent.pad_id)


class CompletionTrainer(trainer.PlannedTrainer, SFTTrainer):
    """SFTTrainer over planned batches; the loss is the weighted mean over answer tokens."""

    def terms(self, model, batch: Batch):
        losses_N, learned_BT = token_losses(model, batch["input_ids"], batch["labels"])
        return losses_N, batch["weights"][:, None].expand_as(learned_BT)[learned_BT]

    def row_losses(self, model, batch: Batch):
        losses_N, learned_BT = token_losses(model, batch["input_ids"], batch["labels"])
        return row_sums(losses_N, learned_BT) / learned_BT.sum(1)


def build(
    model, tokenizer, batches: Batches, settings: RunSettings, scratch: Path, callbacks: Sequence = (), lora=None
) -> CompletionTrainer:
    """A trainer ready to run."""
    config = SFTConfig(
        **trainer.arguments(settings, len(batches), settings.learning_rate, scratch),
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    row = list(batches.rows[0].ids)  # SFTTrainer wants a dataset at construction; it trains on the planned batches
    made = CompletionTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        callbacks=list(callbacks),
        train_dataset=datasets.Dataset.from_dict({"input_ids": [row], "labels": [row]}),
        data_collator=lambda rows: rows[0],
        peft_config=lora,
    )
    return trainer.ready(made, batches)


SFT = Method(chosen, planned, build, sequences=1, most_passes=None)
