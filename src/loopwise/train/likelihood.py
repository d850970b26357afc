# pyright: basic
"""What a model gives to the answers of a batch: the only place where training reads logits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from loopwise.train.batches import IGNORED, in_order, padded
from loopwise.train.rows import TokenRow


def answer_logits(model, ids_BT: torch.Tensor, labels_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that predict the answer tokens, in float32 of shape (answer tokens, vocabulary), row by row, and which
    places of the labels they belong to: (rows, longest), true at answer tokens. Prompts get no logits."""
    learned_BT = labels_BT != IGNORED
    first = int(learned_BT.any(0).to(torch.int8).argmax())  # no row's answer begins before this position
    kept = ids_BT.shape[1] - first + 1  # an answer token is predicted from the position before it
    with precision():
        outputs = model(input_ids=ids_BT, logits_to_keep=kept, use_cache=False)
    return outputs.logits[:, :-1][learned_BT[:, first:]].float(), learned_BT


def precision():
    """bf16 for matrix products on a GPU, as in training; float32 on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if torch.cuda.is_available() else nullcontext()


def token_losses(model, ids_BT: torch.Tensor, labels_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Negative natural log-probabilities of the answer tokens, row by row, and their places."""
    logits_NV, learned_BT = answer_logits(model, ids_BT, labels_BT)
    return cross_entropy(logits_NV, labels_BT[learned_BT], reduction="none"), learned_BT


def row_sums(values_N: torch.Tensor, learned_BT: torch.Tensor) -> torch.Tensor:
    """Values of answer tokens added up for each row. (No scattered addition, whose order GPUs do not fix.)"""
    return values_N.new_zeros(learned_BT.shape).masked_scatter(learned_BT, values_N).sum(1)


@torch.no_grad()
def row_logps(model, rows: Sequence[TokenRow], batch: int, pad_id: int) -> torch.Tensor:
    """Natural log-probability of each row's whole answer, float32 of shape (rows,), on the CPU."""
    by_length = np.argsort([len(row.ids) for row in rows], kind="stable")
    made_N = torch.empty(len(rows))
    for places in in_order(len(rows), batch):
        chosen = by_length[places]
        tensors = padded([rows[place] for place in chosen], pad_id)
        losses_N, learned_BT = token_losses(model, *(tensors[key].to(model.device) for key in ("input_ids", "labels")))
        made_N[torch.from_numpy(chosen)] = -row_sums(losses_N, learned_BT).cpu()
    return made_N
