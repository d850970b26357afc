# pyright: basic
"""The batches of a whole run, fixed beforehand: rows of like length together, so that little is padding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from loopwise.train.rows import TokenRow

IGNORED = -100  # the label that PyTorch's cross entropy leaves out
_WINDOW_BATCHES = (
    64  # rows are sorted by length within this many batches: wide windows pad less, narrow ones mix better
)

Batch = dict[str, torch.Tensor]


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
    return np.stack(made[:steps]) if steps else np.empty((0, batch), dtype=np.int64)


def in_order(n: int, batch: int) -> Iterator[np.ndarray]:
    """Places 0 … n-1, ``batch`` at a time."""
    return (np.arange(begin, min(begin + batch, n)) for begin in range(0, n, batch))


def padded(rows: Sequence[TokenRow], pad_id: int) -> Batch:
    """``input_ids`` and ``labels`` (those of answers alone), each of shape (rows, longest); padding is on the right.

    No attention mask: under causal attention no position sees the padding to its right, and the padding itself has no
    label, so the loss and its gradient are the same without one, and attention takes its fast path.
    """
    length = max(len(row.ids) for row in rows)
    ids_BT = np.full((len(rows), length), pad_id, dtype=np.int64)
    labels_BT = np.full((len(rows), length), IGNORED, dtype=np.int64)
    for i, row in enumerate(rows):
        ids_BT[i, : len(row.ids)] = row.ids
        labels_BT[i, row.start : len(row.ids)] = row.ids[row.start :]
    return {"input_ids": torch.from_numpy(ids_BT), "labels": torch.from_numpy(labels_BT)}


def weights_of(rows: Sequence[TokenRow]) -> torch.Tensor:
    return torch.tensor([row.weight for row in rows], dtype=torch.float32)


class Planned(Dataset, ABC):
    """Ready batches: step i is ``self.of(plan[i])``. A subclass says what the batch of some rows is."""

    def __init__(self, plan_SB: np.ndarray):
        self.plan = plan_SB

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, step: int) -> Batch:
        return self.of(self.plan[step], step)

    @abstractmethod
    def of(self, places_B: np.ndarray, step: int | None = None) -> Batch:
        """The batch of the rows at these places; of a step also what only training adds."""


class Batches(Planned):
    """Answers to imitate: ids, labels and ``weights``, one for each row."""

    def __init__(self, rows: Sequence[TokenRow], plan_SB: np.ndarray, pad_id: int):
        super().__init__(plan_SB)
        self.rows = rows
        self.pad_id = pad_id

    def of(self, places_B: np.ndarray, step: int | None = None) -> Batch:
        rows = [self.rows[place] for place in places_B]
        return {**padded(rows, self.pad_id), "weights": weights_of(rows)}
