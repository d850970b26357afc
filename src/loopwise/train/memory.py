# pyright: basic
"""What a training run will need in memory, estimated before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from loopwise.errors import TrainingError
from loopwise.train.rows import Row
from loopwise.train.settings import RunSettings

_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Need:
    """Bytes beyond what the process holds already. Counted are the tensors of a Llama-shaped model in float32 (in bf16
    on a GPU activations take about half), not the allocator's slack: measured peaks lie within a factor of 2."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits


def need(config: PreTrainedConfig, rows: Sequence[Row], settings: RunSettings, sequences: int) -> Need:
    """For the batch of the longest rows, each of which gives so many ``sequences``."""
    total, linear = _parameters(config)
    lora = settings.weights == "lora"
    trained = linear * settings.lora_rank if lora else total
    native = config.dtype.itemsize if isinstance(config.dtype, torch.dtype) else _FLOAT
    longest = sorted((row.length for row in rows), reverse=True)[: settings.batch]
    tokens = sequences * settings.batch * longest[0]
    answers = max(row.length - row.answer.start for row in rows)
    logit_places = sequences * settings.batch * answers
    return Need(
        weights=total * (native if lora else _FLOAT) + (trained * _FLOAT if lora else 0),
        gradients=trained * _FLOAT,
        optimizer=2 * trained * _FLOAT,
        activations=tokens * _FLOAT * _per_token(config, lora),
        logits=3 * logit_places * config.vocab_size * _FLOAT,  # as computed, their log-softmax, and their gradient
    )


def check(need: Need, free: int | None, settings: RunSettings) -> None:
    """Raises TrainingError when the run would not fit; ``free`` None is not known, and passes."""
    if free is None or need.total <= free:
        return
    parts = ", ".join(f"{name} {_gigabytes(n)}" for name, n in sorted(asdict(need).items(), key=lambda part: -part[1]))
    fewer = f"lower [train] batch (now {settings.batch}) or max_length (now {settings.max_length})"
    adapters = ", or set weights = 'lora'" if settings.weights == "full" else ""
    raise TrainingError(
        f"Training would need about {_gigabytes(need.total)} ({parts}), and {_gigabytes(free)} are free: "
        f"{fewer}{adapters}, or use a machine with more memory."
    )


def free_bytes() -> int | None:
    """Of the GPU, or of the machine within what its container may use; None where neither says."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    found = [_meminfo(Path("/proc/meminfo")), _container(Path("/sys/fs/cgroup"))]
    known = [n for n in found if n is not None]
    return min(known) if known else None


def _meminfo(path: Path) -> int | None:
    if not path.exists():
        return None
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), None)


def _container(folder: Path) -> int | None:
    limit, used = folder / "memory.max", folder / "memory.current"
    if not limit.exists() or (most := limit.read_text(encoding="ascii").strip()) == "max":
        return None
    return max(0, int(most) - int(used.read_text(encoding="ascii")))


def _parameters(config: PreTrainedConfig) -> tuple[int, int]:
    """All parameters, and how many low-rank adapters of rank 1 have."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]
    return sum(p.numel() for p in model.parameters()), sum(m.in_features + m.out_features for m in layers)


def _per_token(config: PreTrainedConfig, lora: bool) -> int:
    """Values kept for the backward pass for each token: over all layers, norms and residuals, queries, keys and values
    before and after rotation, keys and values spread over the heads, and the feed-forward."""
    heads, width = config.num_attention_heads, config.hidden_size
    head_dim = getattr(config, "head_dim", None) or width // heads
    queries, keys = heads * head_dim, (getattr(config, "num_key_value_heads", None) or heads) * head_dim
    layer = 6 * width + 5 * queries + 6 * keys + 4 * config.intermediate_size
    adapters = 3 * width if lora else 0  # inputs in float32 beside the base's precision
    return config.num_hidden_layers * (layer + adapters) + 4 * width


def _gigabytes(n: int) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 / 10 else f"{n / 2**20:.1f} MiB"
