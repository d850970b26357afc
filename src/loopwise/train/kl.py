# pyright: basic
"""How far a model has moved from its parent on the answers of its dataset, and the bound on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from loopwise.errors import TrainingError
from loopwise.train.batches import Batch, in_order, padded
from loopwise.train.held_out import on
from loopwise.train.likelihood import answer_logits
from loopwise.train.rows import TokenRow

_MOST_TOKENS = 2_048
_MOST_BYTES = 256 * 2**20
_HALVINGS = 10


class Distance:
    """The parent's distribution at the answer tokens of some rows, to compare a later model with.

    Kept are float32 log-probabilities over the whole vocabulary for at most 2,048 tokens and 256 MiB, on the CPU: no
    second model stays in memory.
    """

    def __init__(self, parent, rows: Sequence[TokenRow], batch: int, pad_id: int):
        most = min(_MOST_TOKENS, _MOST_BYTES // (4 * parent.config.vocab_size))
        taken: list[TokenRow] = []
        self.tokens = 0
        for row in rows:
            if self.tokens >= most:
                break
            taken.append(row)
            self.tokens += len(row.ids) - row.start
        by_length = sorted(taken, key=lambda row: len(row.ids))
        self.batches = [padded([by_length[at] for at in places], pad_id) for places in in_order(len(taken), batch)]
        self.logps = [logps.cpu() for logps in self._logps(parent)]

    def mean(self, model) -> float:
        """KL(model || parent), the mean over the answer tokens, in nats."""
        total = 0.0
        for logps_NV, parent_NV in zip(self._logps(model), self.logps, strict=True):
            total += (logps_NV.exp() * (logps_NV - parent_NV.to(logps_NV.device))).sum(dtype=torch.float64).item()
        return total / self.tokens

    @torch.no_grad()
    def _logps(self, model):
        was_training = model.training
        model.eval()
        for batch in self.batches:
            moved: Batch = on(batch, model.device)
            yield answer_logits(model, moved["input_ids"], moved["labels"])[0].log_softmax(-1)
        model.train(was_training)


@torch.no_grad()
def bounded(
    moved: Mapping[str, torch.Tensor],
    before: Callable[[], Mapping[str, torch.Tensor]],
    measure: Callable[[], float],
    limit: float,
) -> tuple[float, float]:
    """Goes back on the straight line to the parent until the divergence is within ``limit``, changing ``moved``.

    ``moved`` holds the trained tensors by name, ``before`` gives what they were. The divergence is 0 at the parent
    and, between two models of one basin, grows along the line (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models"), so ten halvings find the furthest point; it is measured there, not assumed. Returns the share of the
    way that is kept, and the divergence. Raises TrainingError when even a thousandth of the way is too far.
    """
    if (kl := measure()) <= limit:
        return 1.0, kl
    parent, end = before(), {name: tensor.clone() for name, tensor in moved.items()}
    near, far = 0.0, 1.0

    def go(share: float) -> float:
        for name, tensor in moved.items():
            tensor.copy_(torch.lerp(parent[name].to(tensor), end[name], share))
        return measure()

    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        kl = go(middle)
        if kl <= limit:
            near = middle
        else:
            far = middle
    if near == 0.0:
        raise TrainingError(
            f"Even a thousandth of the way from the parent diverges by {kl:.3g} nats per answer token, and [train] "
            f"kl_limit is {limit:g}: raise it."
        )
    return near, go(near)
