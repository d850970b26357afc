# pyright: basic
"""Kahneman-Tversky optimization (Ethayarajh et al. 2024) by TRL's ``KTOTrainer``: single answers marked good or bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import torch
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from loopwise.train import trainer
from loopwise.train.batches import Batch, Planned, padded, schedule, weights_of
from loopwise.train.likelihood import row_logps, row_sums, token_losses
from loopwise.train.method import Chosen, Method, Parent
from loopwise.train.rows import Row, TokenRow
from loopwise.train.settings import RunSettings

_BETA = 0.1  # how much a log-ratio to the parent counts; the paper's and TRL's value
# Of [train] learning_rate, which is meant for imitation, and over the rows. At 0.1 and 3 passes the embedded model lost
# 17 points, at 0.02 and 1.5 it lost nothing.
_RATE, _PASSES = 0.02, 2
_MOST_BALANCE = 4.0  # the rarer of good and bad counts as much in all as the other, but each row at most so many times
BAD = "refused"


def chosen(rows: Sequence[Row]) -> Chosen:
    """Every answer, anchors among the good ones; a pair is one good and one bad answer."""
    found: list[Row] = []
    for row in rows:
        found.append(replace(row, rejected=None))
        if row.rejected is not None:
            found.append(Row(BAD, row.prompt, row.rejected))
    return Chosen(tuple(found))


def balanced(rows: Sequence[Row]) -> list[float]:
    """A weight for each row: its own, times what makes good and bad count alike (the paper's lambda)."""
    total = {bad: sum(row.answer.weight for row in rows if (row.kind == BAD) is bad) for bad in (True, False)}
    most = max(total.values())
    return [row.answer.weight * min(_MOST_BALANCE, most / total[row.kind == BAD]) for row in rows]


def mismatched(rows: Sequence[Row], max_length: int, seed: int) -> list[TokenRow]:
    """Each row's prompt with the answer of another row, drawn once: what the KL term is estimated on."""
    order = np.random.default_rng(seed).permutation(len(rows))
    other = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    made: list[TokenRow] = []
    for at, row in enumerate(rows):
        prompt, answer = row.answer.ids[: row.answer.start], rows[other[at]].answer
        ids = (*prompt, *answer.ids[answer.start :])[:max_length]
        made.append(TokenRow(ids, len(prompt), 1.0))
    return made


class Marked(Planned):
    """Answers marked good or bad: ids, labels, ``weights``, ``good`` and ``parent_logps`` for each row, and the same
    prompts with other answers: ``other_ids``, ``other_labels``, ``other_logps``."""

    def __init__(self, rows: Sequence[Row], plan_SB: np.ndarray, parent: Parent, settings: RunSettings):
        super().__init__(plan_SB)
        weights = balanced(rows)
        self.rows = [replace(row.answer, weight=weight) for row, weight in zip(rows, weights, strict=True)]
        self.good = torch.tensor([row.kind != BAD for row in rows])
        self.others = mismatched(rows, parent.max_length, settings.seed)
        self.pad_id = parent.pad_id
        self.logps = row_logps(parent.model, self.rows, settings.batch, parent.pad_id)
        self.other_logps = row_logps(parent.model, self.others, settings.batch, parent.pad_id)

    def of(self, places_B: np.ndarray, step: int | None = None) -> Batch:
        rows, places = [self.rows[place] for place in places_B], torch.from_numpy(places_B)
        others = padded([self.others[place] for place in places_B], self.pad_id)
        return {
            **padded(rows, self.pad_id),
            "weights": weights_of(rows),
            "good": self.good[places],
            "parent_logps": self.logps[places],
            "other_ids": others["input_ids"],
            "other_labels": others["labels"],
            "other_logps": self.other_logps[places],
        }


def planned(chosen: Chosen, settings: RunSettings, parent: Parent, steps: int) -> Marked:
    """Batches of answers, good and bad as they come, each as often as the others."""
    plan_SB = schedule([row.length for row in chosen.drawn], settings.batch, steps, settings.seed)
    return Marked(chosen.drawn, plan_SB, parent, settings)


class MarkedTrainer(trainer.PlannedTrainer, KTOTrainer):
    """KTOTrainer over planned batches: the weighted mean of 1 - sigmoid(±beta (log-ratio of the answer - z)), plus for
    good answers, minus for bad ones, where z is the batch's mean log-ratio of mismatched answers, at least 0."""

    def terms(self, model, batch: Batch):
        with torch.no_grad():
            others = -row_sums(*token_losses(model, batch["other_ids"], batch["other_labels"]))
            z = (others - batch["other_logps"]).mean().clamp(min=0)
        logps = -row_sums(*token_losses(model, batch["input_ids"], batch["labels"]))
        gain = self.beta * (logps - batch["parent_logps"] - z)
        return 1 - torch.sigmoid(torch.where(batch["good"], gain, -gain)), batch["weights"]

    def row_losses(self, model, batch: Batch):
        return self.terms(model, batch)[0]


def build(
    model, tokenizer, marked: Marked, settings: RunSettings, scratch: Path, callbacks: Sequence = (), lora=None
) -> MarkedTrainer:
    """A trainer ready to run."""
    config = KTOConfig(
        **trainer.arguments(settings, len(marked), _RATE * settings.learning_rate, scratch),
        beta=_BETA,
        precompute_ref_log_probs=True,  # the batches hold them, so no second model is kept
    )
    ids = list(marked.rows[0].ids)  # KTOTrainer wants a dataset at construction
    row = {"prompt_ids": [ids], "completion_ids": [ids], "label": [True]}
    made = MarkedTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        callbacks=list(callbacks),
        train_dataset=datasets.Dataset.from_dict(row),
        data_collator=lambda rows: rows[0],
        peft_config=lora,
    )
    return trainer.ready(made, marked)


KTO = Method(chosen, planned, build, sequences=2, most_passes=_PASSES)
