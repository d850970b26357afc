# pyright: basic
"""Randomness that depends on (seed, row, step) alone: a counter-based generator and inverse-CDF sampling."""

from __future__ import annotations

import numpy as np
import torch

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix64(x: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea and Flood 2014) for states ``x`` (uint64), elementwise."""
    z = x + _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


def row_key(seed: int, row: int) -> np.uint64:
    """The key of one row's stream of draws; any integers are taken, modulo 2**64."""
    mixed = splitmix64(np.array([seed % 2**64], dtype=np.uint64))
    return splitmix64(mixed ^ splitmix64(np.array([row % 2**64], dtype=np.uint64)))[0]


def uniforms(key_R: np.ndarray, step_R: np.ndarray) -> np.ndarray:
    """One draw in [0, 1) for each row (float64, 53 bits), from its key and its step."""
    bits_R = splitmix64(key_R ^ splitmix64(step_R.astype(np.uint64)))
    return (bits_R >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(
    logits_RV: torch.Tensor, temperature_R: torch.Tensor, top_p_R: torch.Tensor | None, uniform_R: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token for each row, and its log-probability under the model itself (temperature 1, no top-p).

    Temperature 0 takes the likeliest token. ``top_p_R`` None means no row is cut (Holtzman et al. 2020 else). Returns
    ids_R and logprobs_R.
    """
    logprobs_RV = torch.log_softmax(logits_RV, dim=-1)
    greedy_R = temperature_R == 0
    # The likeliest token at 0 before dividing: a temperature near 0 would take every token to minus infinity.
    below_RV = logprobs_RV - logprobs_RV.amax(dim=-1, keepdim=True)
    scaled_RV = below_RV / torch.where(greedy_R, 1.0, temperature_R)[:, None]
    probs_RV = torch.softmax(scaled_RV, dim=-1)
    if top_p_R is not None:
        probs_RV = _nucleus(probs_RV, top_p_R)
    cumulative_RV = probs_RV.cumsum(dim=-1)
    total_R1 = cumulative_RV[:, -1:].contiguous()
    target_R1 = uniform_R.to(torch.float32)[:, None] * total_R1
    ids_R = torch.searchsorted(cumulative_RV, target_R1, right=True)[:, 0]
    # Rounding may put the target on the total itself, beyond the last token that has any probability.
    ids_R = torch.minimum(ids_R, torch.searchsorted(cumulative_RV, total_R1)[:, 0])
    ids_R = torch.where(greedy_R, logits_RV.argmax(dim=-1), ids_R)
    return ids_R, logprobs_RV.gather(1, ids_R[:, None])[:, 0]


def _nucleus(probs_RV: torch.Tensor, top_p_R: torch.Tensor) -> torch.Tensor:
    """Keeps the likeliest tokens up to and including the one that reaches top-p."""
    sorted_RV, order_RV = probs_RV.sort(dim=-1, descending=True, stable=True)
    before_RV = sorted_RV.cumsum(dim=-1) - sorted_RV
    kept_RV = torch.where(before_RV < top_p_R[:, None], sorted_RV, 0.0)
    kept_RV[:, 0] = sorted_RV[:, 0]
    return torch.zeros_like(probs_RV).scatter_(1, order_RV, kept_RV)
