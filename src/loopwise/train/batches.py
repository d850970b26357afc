# pyright: basic
"""The batches of a whole run, fixed beforehand: rows of like length together, so that little is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from loopwise.train.rows import TokenRow

IGNORED = -100  # the label that PyTorch's cross entropy leaves out
_WINDOW_BATCHES = (
    64  # rows are sorted by length within this many batches: wide windows pad less, narrow ones mix better
)


def schedule(lengths_N: Sequence[int], batch: int, steps: int, seed: int) -> np.ndarray:
    """Which rows each step sees: integers of shape (steps, batch).

    Goes through all rows in random order again and again, so that no row is ever more than two ahead of another.
    Within a window of one pass rows are grouped by length, and the groups come in random order; what does not fill
    a batch is carried into the next pass.
    """
    rng = np.random.default_rng(seed)
    lengths = np.asarray(lengths_N)
    made: list[np.ndarray] = []
    pool = np.empty(0, dtype=np.int64)
    while len(made) < steps:
        pool = np.concatenate([pool, rng.permutation(len(lengths))])
        full = len(pool) // batch * batch
        for begin in range(0, full, _WINDOW_BATCHES * batch):
            window = pool[begin : min(begin + _WINDOW_BATCHES * batch, full)]
            window = window[np.argsort(lengths[window], kind="stable")]
            made.extend(rng.permutation(window.reshape(-1, batch)))
        pool = pool[full:]
    return np.stack(made[:steps])


class Batches(Dataset):
    """Ready batches as tensors; padding is on the right.

    No attention mask: under causal attention no position sees the padding to its right, and the padding itself has no
    label, so the loss and its gradient are the same without one, and attention takes its fast path.
    """

    def __init__(self, rows: Sequence[TokenRow], schedule_SB: np.ndarray, pad_id: int):
        self.rows = rows
        self.schedule = schedule_SB
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.schedule)

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rows = [self.rows[row] for row in self.schedule[step]]
        length = max(len(row.ids) for row in rows)
        ids_BT = np.full((len(rows), length), self.pad_id, dtype=np.int64)
        labels_BT = np.full((len(rows), length), IGNORED, dtype=np.int64)
        for i, row in enumerate(rows):
            ids_BT[i, : len(row.ids)] = row.ids
            labels_BT[i, row.start : len(row.ids)] = row.ids[row.start :]
        weights_B = torch.tensor([row.weight for row in rows], dtype=torch.float32)
        return {
            "input_ids": torch.from_numpy(ids_BT),
            "labels": torch.from_numpy(labels_BT),
            "weights": weights_B,
        }
