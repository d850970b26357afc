# pyright: basic
"""The forward pass of a Llama- or Qwen3-shaped model over a key-value cache, batched over rows of any length.

Follows Hugging Face's ``modeling_qwen3`` and ``modeling_llama`` in float32: RMSNorm, normed queries and keys (Qwen3),
rotary positions, grouped-query attention, SwiGLU. Names carry axes: R rows, T positions, W width, H heads, K key-value
heads, G heads per key-value head, D head width, V vocabulary, L cached positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from loopwise.engine.embedded.weights import Shape, Weights


@dataclass(frozen=True)
class _Layer:
    attention_norm: torch.Tensor
    qkv: torch.Tensor
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    out: torch.Tensor
    mlp_norm: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class Cache:
    """Keys and values of up to ``rows`` rows; rows and positions grow by doubling, up to the model's context."""

    def __init__(self, shape: Shape, rows: int = 16, positions: int = 64):
        self._shape = shape
        self.kv = torch.zeros(self._size(rows, min(positions, shape.context)))

    def _size(self, rows: int, positions: int) -> tuple[int, ...]:
        return (self._shape.layers, 2, rows, self._shape.kv_heads, positions, self._shape.head_dim)

    def reserve(self, rows: int, positions: int) -> None:
        """Makes room for ``rows`` rows of ``positions`` positions; what is cached stays."""
        have_rows, have_positions = self.kv.shape[2], self.kv.shape[4]
        if rows <= have_rows and positions <= have_positions:
            return
        while have_rows < rows:
            have_rows *= 2
        while have_positions < positions:
            have_positions = min(2 * have_positions, self._shape.context)
        grown = torch.zeros(self._size(have_rows, have_positions))
        grown[:, :, : self.kv.shape[2], :, : self.kv.shape[4]] = self.kv
        self.kv = grown

    def copy_rows(self, source_N: torch.Tensor, target_N: torch.Tensor, positions: int) -> None:
        """Copies the first ``positions`` positions of rows ``source_N`` over rows ``target_N``."""
        self.kv[:, :, target_N, :, :positions] = self.kv[:, :, source_N, :, :positions]


class Model:
    """The forward pass over loaded weights. Thread-safe: all state is in the cache."""

    def __init__(self, weights: Weights):
        self.shape = shape = weights.shape
        self.fingerprint = weights.fingerprint
        self.end_ids = weights.end_ids
        tensors = weights.tensors
        self._embedding_VW = tensors["model.embed_tokens.weight"]
        self._norm_W = tensors["model.norm.weight"]
        self._head_VW = self._embedding_VW if shape.tied else tensors["lm_head.weight"]
        self._layers = [self._layer(tensors, f"model.layers.{i}.") for i in range(shape.layers)]
        halves_D = torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim
        angles_LD = torch.arange(shape.context, dtype=torch.float32)[:, None] / shape.rope_theta**halves_D
        # The sign of the rotated half is folded in, so that one roll and two products rotate a vector.
        self._cos_LD = torch.cat((angles_LD.cos(), angles_LD.cos()), dim=1)
        self._sin_LD = torch.cat((-angles_LD.sin(), angles_LD.sin()), dim=1)

    def _layer(self, tensors, prefix: str) -> _Layer:
        attention, mlp = f"{prefix}self_attn.", f"{prefix}mlp."
        qk_norm = self.shape.qk_norm
        return _Layer(
            attention_norm=tensors[f"{prefix}input_layernorm.weight"],
            qkv=torch.cat([tensors[f"{attention}{name}_proj.weight"] for name in "qkv"]),
            query_norm=tensors[f"{attention}q_norm.weight"] if qk_norm else None,
            key_norm=tensors[f"{attention}k_norm.weight"] if qk_norm else None,
            out=tensors[f"{attention}o_proj.weight"],
            mlp_norm=tensors[f"{prefix}post_attention_layernorm.weight"],
            gate_up=torch.cat([tensors[f"{mlp}gate_proj.weight"], tensors[f"{mlp}up_proj.weight"]]),
            down=tensors[f"{mlp}down_proj.weight"],
        )

    def prefill(self, ids_RT: torch.Tensor, lengths_R: torch.Tensor, cache: Cache, first_row: int) -> torch.Tensor:
        """Reads prompts, padded on the right, into the cache rows from ``first_row`` on; logits_RV of what follows."""
        rows, positions = ids_RT.shape
        x_RTW = functional.embedding(ids_RT, self._embedding_VW)
        cos_TD, sin_TD = self._cos_LD[:positions, None], self._sin_LD[:positions, None]
        for kv, layer in zip(cache.kv, self._layers, strict=True):
            q, k, v = self._queries_keys_values(layer, x_RTW, cos_TD, sin_TD)
            q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
            kv[0, first_row : first_row + rows, :, :positions] = k
            kv[1, first_row : first_row + rows, :, :positions] = v
            attended = functional.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=self.shape.heads != self.shape.kv_heads
            )
            x_RTW = self._after_attention(layer, x_RTW, attended.transpose(1, 2).reshape(rows, positions, -1))
        return self._logits(x_RTW[torch.arange(rows), lengths_R - 1])

    def decode(self, ids_R: torch.Tensor, lengths_R: torch.Tensor, longest: int, cache: Cache) -> torch.Tensor:
        """Appends one token to each of the first R rows, which hold ``lengths_R`` positions; logits_RV of what follows.

        ``longest`` is the greatest of ``lengths_R``, known to the caller without reading the tensor.
        """
        shape, rows, span = self.shape, len(ids_R), longest + 1
        row_R = torch.arange(rows)
        x_RW = functional.embedding(ids_R, self._embedding_VW)
        cos_RD, sin_RD = self._cos_LD[lengths_R][:, None], self._sin_LD[lengths_R][:, None]
        hidden_RL = torch.arange(span)[None, :] > lengths_R[:, None]
        mask_R11L = torch.zeros(rows, span).masked_fill_(hidden_RL, -torch.inf)[:, None, None]
        groups = shape.heads // shape.kv_heads
        for kv, layer in zip(cache.kv, self._layers, strict=True):
            q, k, v = self._queries_keys_values(layer, x_RW, cos_RD, sin_RD)
            kv[0][row_R, :, lengths_R] = k
            kv[1][row_R, :, lengths_R] = v
            keys_RKLD, values_RKLD = kv[0, :rows, :, :span], kv[1, :rows, :, :span]
            q_RKGD = q.view(rows, shape.kv_heads, groups, shape.head_dim)
            scores_RKGL = torch.matmul(q_RKGD, keys_RKLD.transpose(2, 3)) * shape.head_dim**-0.5
            weights_RKGL = torch.softmax(scores_RKGL + mask_R11L, dim=-1)
            attended_RO = torch.matmul(weights_RKGL, values_RKLD).reshape(rows, -1)
            x_RW = self._after_attention(layer, x_RW, attended_RO)
        return self._logits(x_RW)

    def _queries_keys_values(self, layer: _Layer, x, cos, sin) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotated queries (…, H, D) and keys (…, K, D), and values (…, K, D)."""
        shape = self.shape
        qkv = functional.linear(self._norm(x, layer.attention_norm), layer.qkv)
        qkv = qkv.view(*x.shape[:-1], shape.heads + 2 * shape.kv_heads, shape.head_dim)
        q, k, v = qkv.split((shape.heads, shape.kv_heads, shape.kv_heads), dim=-2)
        if layer.query_norm is not None:
            q, k = self._norm(q, layer.query_norm), self._norm(k, layer.key_norm)
        half = shape.head_dim // 2
        return q * cos + q.roll(half, -1) * sin, k * cos + k.roll(half, -1) * sin, v

    def _after_attention(self, layer: _Layer, x, attended) -> torch.Tensor:
        x = x + functional.linear(attended, layer.out)
        gate, up = functional.linear(self._norm(x, layer.mlp_norm), layer.gate_up).chunk(2, dim=-1)
        return x + functional.linear(functional.silu(gate) * up, layer.down)

    def _norm(self, x, weight) -> torch.Tensor:
        return functional.rms_norm(x, (x.shape[-1],), weight, self.shape.norm_epsilon)

    def _logits(self, x_RW) -> torch.Tensor:
        return functional.linear(self._norm(x_RW, self._norm_W), self._head_VW)
