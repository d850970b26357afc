# pyright: basic
"""Root-mean-square norm with its gradient by hand: half the passes over memory that autograd makes on a CPU."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm


class RootMeanSquareNorm(torch.autograd.Function):
    """``weight * x / sqrt(mean(x²) + epsilon)`` over the last dimension (Zhang and Sennrich 2019), in float32."""

    @staticmethod
    def forward(ctx, x, weight, epsilon):
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, *grad_outputs):
        (grad,) = grad_outputs
        unit, scale, weight = ctx.saved_tensors
        along = grad * unit
        grad_weight = along.flatten(0, -2).sum(0)
        mean = (along @ weight).div_(unit.shape[-1]).unsqueeze(-1)
        grad_x = (grad * weight).addcmul_(unit, mean, value=-1).mul_(scale)
        return grad_x, grad_weight, None


def use_fast_norms(model: nn.Module) -> None:
    """Makes the float32 norms of a Llama- or Qwen3-shaped model compute by ``RootMeanSquareNorm``; others stay.

    Equal up to rounding. For training only: the model that is saved and served has the same tensors.
    """
    for module in model.modules():
        if isinstance(module, Qwen3RMSNorm | LlamaRMSNorm) and module.weight.dtype == torch.float32:
            module.forward = partial(_normed, module)


def _normed(norm: Qwen3RMSNorm | LlamaRMSNorm, hidden_states: torch.Tensor) -> torch.Tensor:
    return RootMeanSquareNorm.apply(hidden_states, norm.weight, norm.variance_epsilon)  # pyright: ignore[reportReturnType]
