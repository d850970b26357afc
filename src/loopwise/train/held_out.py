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
_CLEARLY = 2.0  # standard errors by which an earlier checkpoint must beat the last one


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


def clearly_better(losses_n: np.ndarray, than_n: np.ndarray) -> bool:
    """Whether losses are lower by more than chance explains: a paired comparison on the same rows."""
    gain = than_n - losses_n
    error = float(gain.std(ddof=1)) / sqrt(len(gain))
    return float(gain.mean()) > _CLEARLY * error
