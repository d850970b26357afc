# pyright: basic
"""Model folders: reads their tensors and names them by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from loopwise.errors import EngineError

ARCHITECTURES = ("LlamaForCausalLM", "Qwen3ForCausalLM")


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama- or Qwen3-shaped model."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    context: int
    rope_theta: float
    norm_epsilon: float
    qk_norm: bool
    tied: bool


@dataclass(frozen=True)
class Weights:
    """A loaded folder: its sizes, its float32 tensors under Hugging Face's names, and their fingerprint."""

    shape: Shape
    tensors: Mapping[str, torch.Tensor]
    fingerprint: str
    end_ids: frozenset[int]


def fingerprint(model: Path | Mapping[str, torch.Tensor]) -> str:
    """``sha256:…`` over the names, dtypes, shapes and bytes of all tensors, sorted by name.

    Independent of how the tensors are laid out over files. Takes a model folder or a state dict; an output head that is
    the embedding under a second name is left out, as it is in files. Raises EngineError when the folder holds no
    readable safetensors.
    """
    tensors = _read_tensors(model) if isinstance(model, Path) else dict(model)
    head, embedding = tensors.get("lm_head.weight"), tensors.get("model.embed_tokens.weight")
    if head is not None and embedding is not None and head.data_ptr() == embedding.data_ptr():
        del tensors["lm_head.weight"]
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        header = {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        digest.update(json.dumps(header, sort_keys=True).encode() + b"\n")
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def load(folder: Path) -> Weights:
    """Reads a Hugging Face folder, safetensors only, computed in float32.

    Raises EngineError for a missing or broken folder and for any other architecture than Llama or Qwen3 with plain
    rotary positions; no code in the folder is ever run.
    """
    config = _read_json(folder / "config.json")
    shape = _shape(folder, config)
    tensors = _read_tensors(folder)
    _check_tensors(folder, shape, tensors)
    generation_path = folder / "generation_config.json"
    generation = _read_json(generation_path) if generation_path.exists() else {}
    end = generation.get("eos_token_id", config.get("eos_token_id"))
    if end is None:
        raise EngineError(f"The model folder {folder} names no eos_token_id: add it to generation_config.json.")
    end_ids = frozenset(end if isinstance(end, list) else [end])
    floats = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    return Weights(shape, floats, fingerprint(tensors), end_ids)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"The model folder {path.parent} has no readable {path.name}: {error}.") from error


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"The model folder {folder} holds no .safetensors file; other formats are not read.")
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            tensors.update(load_file(file))
        except (SafetensorError, OSError) as error:
            raise EngineError(f"The file {file} is not readable as safetensors: {error}.") from error
    return tensors


def _shape(folder: Path, config: dict) -> Shape:
    architecture = (config.get("architectures") or ["none"])[0]
    if architecture not in ARCHITECTURES:
        raise EngineError(
            f"The model folder {folder} is a {architecture}; the embedded engine reads {' and '.join(ARCHITECTURES)} "
            "only. Serve it with vLLM and set engine.kind = 'openai'."
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    plain = {
        "scaled rotary positions": rope.get("rope_type", "default") == "default",
        "another activation than SiLU": config.get("hidden_act", "silu") == "silu",
        "biases in attention": not config.get("attention_bias", False),
        "biases in the feed-forward": not config.get("mlp_bias", False),
        "a sliding window": not config.get("use_sliding_window", False),
        "quantized weights": "quantization_config" not in config,
    }
    unusual = [name for name, usual in plain.items() if not usual]
    if unusual:
        raise EngineError(
            f"The model folder {folder} has {unusual[0]}, which the embedded engine does not compute. "
            "Serve it with vLLM and set engine.kind = 'openai'."
        )
    try:
        return Shape(
            vocabulary=config["vocab_size"],
            width=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            kv_heads=config.get("num_key_value_heads") or config["num_attention_heads"],
            head_dim=config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
            feed_forward=config["intermediate_size"],
            context=config["max_position_embeddings"],
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
            norm_epsilon=config.get("rms_norm_eps", 1e-6),
            qk_norm=architecture == "Qwen3ForCausalLM",
            tied=config.get("tie_word_embeddings", False),
        )
    except KeyError as error:
        raise EngineError(f"The config.json of {folder} lacks {error.args[0]!r}.") from error


def _check_tensors(folder: Path, shape: Shape, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, expected in expected_shapes(shape).items():
        if name not in tensors:
            raise EngineError(f"The model folder {folder} lacks the tensor {name!r}.")
        if tuple(tensors[name].shape) != expected:
            raise EngineError(
                f"The tensor {name!r} of {folder} has the shape {tuple(tensors[name].shape)}; "
                f"its config.json means {expected}."
            )


def expected_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that the forward pass reads, under Hugging Face's names."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (shape.vocabulary, shape.width),
        "model.norm.weight": (shape.width,),
    }
    if not shape.tied:
        shapes["lm_head.weight"] = (shape.vocabulary, shape.width)
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}input_layernorm.weight": (shape.width,),
            f"{prefix}post_attention_layernorm.weight": (shape.width,),
            f"{prefix}self_attn.q_proj.weight": (queries, shape.width),
            f"{prefix}self_attn.k_proj.weight": (keys, shape.width),
            f"{prefix}self_attn.v_proj.weight": (keys, shape.width),
            f"{prefix}self_attn.o_proj.weight": (shape.width, queries),
            f"{prefix}mlp.gate_proj.weight": (shape.feed_forward, shape.width),
            f"{prefix}mlp.up_proj.weight": (shape.feed_forward, shape.width),
            f"{prefix}mlp.down_proj.weight": (shape.width, shape.feed_forward),
        }
        if shape.qk_norm:
            shapes[f"{prefix}self_attn.q_norm.weight"] = (shape.head_dim,)
            shapes[f"{prefix}self_attn.k_norm.weight"] = (shape.head_dim,)
    return shapes
