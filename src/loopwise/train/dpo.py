# pyright: basic
"""Direct preference optimization (Rafailov et al. 2023) by TRL's ``DPOTrainer``, with imitation at every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from torch.nn.functional import logsigmoid
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from loopwise.train import trainer
from loopwise.train.batches import Batch, Planned, padded, schedule, weights_of
from loopwise.train.likelihood import row_logps, row_sums, token_losses
from loopwise.train.method import IMITATED, Chosen, Method, Parent
from loopwise.train.rows import Row
from loopwise.train.settings import RunSettings

_BETA = 0.1  # how much a log-ratio to the parent counts; the papers' and TRL's value
# Of [train] learning_rate, which is meant for imitation, and over the rows: a preference loss has no floor that slows
# it down. At 0.1 and 3 passes the embedded model lost 6 points, at 0.03 and 1.6 it lost nothing.
_RATE, _PASSES = 0.03, 2
_IMITATED = 0.25  # rows to imitate at each step, for each pair; half of them anchors, where there are any


def chosen(rows: Sequence[Row]) -> Chosen:
    """All pairs, and every answer to imitate."""
    imitated = tuple(row for row in rows if row.kind in IMITATED)
    return Chosen(tuple(row for row in rows if row.kind == "pair"), imitated)


class Pairs(Planned):
    """Better answers, then the worse ones, then those to imitate, in one batch.

    ``weights`` has one value for each pair; ``parent_logps`` the parent's log-probability of each better and each
    worse answer; ``imitated_weights`` one value for each row to imitate, none outside of training.
    """

    def __init__(self, chosen: Chosen, pairs_SB: np.ndarray, imitated_SA: np.ndarray, parent: Parent, batch: int):
        super().__init__(pairs_SB)
        self.better = [row.answer for row in chosen.drawn]
        self.worse = [row.rejected for row in chosen.drawn if row.rejected]
        self.imitated = [row.answer for row in chosen.imitated]
        self.imitated_plan = imitated_SA
        self.pad_id = parent.pad_id
        self.better_logps = row_logps(parent.model, self.better, batch, parent.pad_id)
        self.worse_logps = row_logps(parent.model, self.worse, batch, parent.pad_id)

    def of(self, places_B: np.ndarray, step: int | None = None) -> Batch:
        better, worse = [self.better[place] for place in places_B], [self.worse[place] for place in places_B]
        imitated = [] if step is None else [self.imitated[place] for place in self.imitated_plan[step]]
        places = torch.from_numpy(places_B)
        return {
            **padded([*better, *worse, *imitated], self.pad_id),
            "weights": weights_of(better),
            "parent_logps": torch.cat([self.better_logps[places], self.worse_logps[places]]),
            "imitated_weights": weights_of(imitated),
        }


def planned(chosen: Chosen, settings: RunSettings, parent: Parent, steps: int) -> Pairs:
    """Batches of pairs, each as often as the others, and beside them rows to imitate: half of these are anchors, so
    that anchors take part in every step however many others there are."""
    pairs_SB = schedule([row.length for row in chosen.drawn], settings.batch, steps, settings.seed)
    wanted = max(2, round(_IMITATED * settings.batch))
    anchors, others = (
        [at for at, row in enumerate(chosen.imitated) if (row.kind == "anchor") is a] for a in (True, False)
    )
    shares = [(anchors, wanted // 2 if others else wanted), (others, wanted // 2 if anchors else wanted)]
    drawn = [
        np.asarray(places)[schedule([chosen.imitated[at].length for at in places], share, steps, settings.seed + 1)]
        for places, share in shares
        if places
    ]
    imitated_SA = np.concatenate(drawn, axis=1) if drawn else np.empty((steps, 0), dtype=np.int64)
    return Pairs(chosen, pairs_SB, imitated_SA, parent, settings.batch)


class PreferenceTrainer(trainer.PlannedTrainer, DPOTrainer):
    """DPOTrainer over planned batches: the weighted mean over pairs of -log sigmoid(beta (log-ratio of the better
    answer - log-ratio of the worse)), plus the mean loss of the answers to imitate, without which preference training
    lowers the better answer's own likelihood, too (Pang et al. 2024)."""

    def terms(self, model, batch: Batch):
        return self._pair_losses(*self._tokens(model, batch), batch), batch["weights"]

    def row_losses(self, model, batch: Batch):
        return self.terms(model, batch)[0]

    def batch_loss(self, model, batch: Batch):
        losses_N, learned_BT = self._tokens(model, batch)
        losses, weights = self._pair_losses(losses_N, learned_BT, batch), batch["weights"]
        loss = (losses * weights).sum() / weights.sum()
        n = len(batch["imitated_weights"])
        if n == 0:
            return loss
        imitated_N = losses_N[-int(learned_BT[-n:].sum()) :]
        weights_N = batch["imitated_weights"][:, None].expand_as(learned_BT[-n:])[learned_BT[-n:]]
        return loss + (imitated_N * weights_N).sum() / weights_N.sum()

    def _tokens(self, model, batch: Batch):
        return token_losses(model, batch["input_ids"], batch["labels"])

    def _pair_losses(self, losses_N: torch.Tensor, learned_BT: torch.Tensor, batch: Batch) -> torch.Tensor:
        logps = -row_sums(losses_N, learned_BT)[: len(batch["parent_logps"])]
        better, worse = (logps - batch["parent_logps"]).chunk(2)
        return -logsigmoid(self.beta * (better - worse))


def build(
    model, tokenizer, pairs: Pairs, settings: RunSettings, scratch: Path, callbacks: Sequence = (), lora=None
) -> PreferenceTrainer:
    """A trainer ready to run."""
    config = DPOConfig(
        **trainer.arguments(settings, len(pairs), _RATE * settings.learning_rate, scratch),
        beta=_BETA,
        precompute_ref_log_probs=True,  # the batches hold them, so no second model is kept
    )
    ids = list(pairs.better[0].ids)  # DPOTrainer wants a dataset at construction
    row = {"prompt_ids": [ids], "chosen_ids": [ids], "rejected_ids": [ids]}
    made = PreferenceTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        callbacks=list(callbacks),
        train_dataset=datasets.Dataset.from_dict(row),
        data_collator=lambda rows: rows[0],
        peft_config=lora,
    )
    return trainer.ready(made, pairs)


DPO = Method(chosen, planned, build, sequences=2, most_passes=_PASSES)
