# pyright: basic
"""Rows that training never sees, and what they say of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch

from loopwise.train.batches import Batch, Planned, in_order
from loopwise.train.rows import Row

_SHARE, _MOST = 0.05, 256
_FEWEST = 5  # with fewer than these held out their loss says nothing, and small datasets need every row
_CLEARLY, _BY = 2.0, 0.25  # standard errors, and share of its loss, by which the last checkpoint must be worse


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and 5 % (at most 256) held out, those whose prompts have the lowest hashes: all rows of a
    prompt fall on the same side, and where a dataset grows, most prompts stay on theirs."""
    wanted = min(_MOST, round(_SHARE * len(rows)))
    if wanted < _FEWEST:
        return list(rows), []
    prompts = sorted(row.prompt for row in rows)
    last = prompts[wanted - 1]
    held = [row for row in rows if row.prompt <= last]
    if len(held) > 2 * wanted:  # one prompt with very many answers
        return list(rows), []
    return [row for row in rows if row.prompt > last], held


@torch.no_grad()
def losses(trainer, planned: Planned, n: int, batch: int) -> np.ndarray:
    """The loss of each of the ``n`` rows of ``planned``, by the trainer's model as it is now."""
    model = trainer.model
    was_training = model.training
    model.eval()
    found = [trainer.row_losses(model, on(planned.of(places), model.device)) for places in in_order(n, batch)]
    model.train(was_training)
    return torch.cat(found).double().cpu().numpy()


def on(batch: Batch, device: torch.device) -> Batch:
    return {key: tensor.to(device) for key, tensor in batch.items()}


def clearly_worse(last_n: np.ndarray, best_n: np.ndarray) -> bool:
    """Whether the last check's losses are higher than the best one's by more than chance explains (paired, on the same
    rows) and by a quarter. Less is no reason to go back: on the embedded model the loss on held-out rows rises by a
    few per cent while the share of right answers still grows, and the learning rate's end is worth more."""
    loss = last_n - best_n
    error = float(loss.std(ddof=1)) / sqrt(len(loss))
    return float(loss.mean()) > max(_CLEARLY * error, _BY * float(best_n.mean()))
