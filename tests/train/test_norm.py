from __future__ import annotations

import pytest
import torch
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from loopwise.train.norm import RootMeanSquareNorm


@pytest.mark.parametrize("shape", [(3, 5, 16), (2, 4, 3, 8)])
def test_value_and_gradients_equal_those_of_the_models_own_norm(shape):
    generator = torch.Generator().manual_seed(0)
    norm = Qwen3RMSNorm(shape[-1], eps=1e-6)
    norm.weight.data = torch.randn(shape[-1], generator=generator)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    upstream = torch.randn(shape, generator=generator)
    expected = norm(x)
    expected_grads = torch.autograd.grad(expected, (x, norm.weight), upstream)

    made = RootMeanSquareNorm.apply(x, norm.weight, 1e-6)
    grads = torch.autograd.grad(made, (x, norm.weight), upstream)

    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(grads[0], expected_grads[0])
    torch.testing.assert_close(grads[1], expected_grads[1])


def test_the_gradient_is_that_of_finite_differences():
    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weight = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x, w: RootMeanSquareNorm.apply(x, w, 1e-6), (x, weight))
