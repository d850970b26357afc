# pyright: basic
"""The recipe of the embedded model: ``python -m loopwise.tiny.recipe`` trains it from scratch and writes its folder.

The same seed, thread count and machine type give the same weights, byte for byte. The model starts mediocre on
purpose: the loop, not the corpus, is to make it better.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.model import Model
from loopwise.engine.embedded.sampler import Sampler, sample_all
from loopwise.engine.embedded.weights import fingerprint, load
from loopwise.practice.sources import HELD_OUT, problems
from loopwise.tiny import ANCHORS, MODEL, corpus, tokenizer
from loopwise.tiny.families import FAMILIES
from loopwise.types import SamplingParams
from loopwise.verify.table import resolve

HELD_OUT_SEED = 9_000_000
IGNORED = -100  # torch's label for "no loss here"


@dataclass(frozen=True)
class Settings:
    """What decides the weights, besides corpus and machine type."""

    seed: int = 0
    threads: int = 1
    epochs: int = 11
    batch_rows: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    warmup_steps: int = 50


@dataclass(frozen=True)
class EncodedRow:
    """A row as tokens; the loss counts the completion alone, its <|end|> included."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


def encode(rows: Sequence[corpus.Row], built: Tokenizer) -> list[EncodedRow]:
    """Rows as the chat template renders them."""
    encoded = []
    for row in rows:
        prompt = f"{tokenizer.USER}{row.messages[0]['content']}{tokenizer.ASSISTANT}"
        completion_ids = built.encode(row.completion).ids + built.encode(tokenizer.END).ids
        encoded.append(EncodedRow(tuple(built.encode(prompt).ids), tuple(completion_ids)))
    return encoded


def new_model(built: Tokenizer, seed: int) -> Qwen3ForCausalLM:
    """The untrained model: Qwen3 shape, heads of 32 dimensions so that other servers can serve it."""
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=built.get_vocab_size(),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=tokenizer.CONTEXT,
            initializer_range=0.08,  # the usual 0.02 is for larger widths: here it costs 16 points at equal examples
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            eos_token_id=built.token_to_id(tokenizer.END),
            pad_token_id=built.token_to_id(tokenizer.PAD),
            bos_token_id=None,
        )
    )


def train(
    model: Qwen3ForCausalLM, rows: Sequence[EncodedRow], settings: Settings, steps: int | None = None
) -> Iterator[tuple[int, int, float]]:
    """Trains in place, AdamW with warm-up and linear decay; yields (step, total steps, loss) after each step."""
    rng = random.Random(settings.seed)
    batches = [batch for _ in range(settings.epochs) for batch in _batches(rows, settings.batch_rows, rng)]
    total = len(batches) if steps is None else steps
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
    )
    model.train()
    for step, batch in enumerate(batches[:total]):
        warm = min(1.0, (step + 1) / settings.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm * (1 - step / total)
        ids_RT, labels_RT = _tensors(batch)
        logits_RTV = model(input_ids=ids_RT, use_cache=False).logits[:, :-1]
        loss = functional.cross_entropy(logits_RTV.flatten(0, 1), labels_RT[:, 1:].flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield step + 1, total, loss.item()


def make(folder: Path, settings: Settings, steps: int | None = None) -> Iterator[tuple[int, int, float]]:
    """Trains a model on the corpus and writes its folder at the end; yields like ``train``."""
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    built = tokenizer.build()
    model = new_model(built, settings.seed)
    yield from train(model, encode(corpus.build(), built), settings, steps)
    folder.mkdir(parents=True, exist_ok=True)
    disable_progress_bar()
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.write(built, folder)
    generation = {"eos_token_id": model.config.eos_token_id, "pad_token_id": model.config.pad_token_id}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")


def held_out_scores(folder: Path, per_family: int, params: SamplingParams) -> dict[str, float]:
    """Mean share of right answers for each family, on questions that neither corpus nor practice ever holds."""
    chat = Chat(folder)
    sampler = Sampler(Model(load(folder)), chat)
    scores = {}
    for family in FAMILIES:
        asked = list(islice(problems(family.source, HELD_OUT_SEED, HELD_OUT), per_family))
        answers = sample_all(sampler, [chat.prompt_ids(problem.messages) for problem in asked], params)
        right = [
            resolve(problem.verifier)(problem, completion.text) >= 1.0
            for problem, completions in zip(asked, answers, strict=True)
            for completion in completions
        ]
        scores[family.name] = sum(right) / len(right)
    return scores


def _batches(rows: Sequence[EncodedRow], batch_rows: int, rng: random.Random) -> list[list[EncodedRow]]:
    """One epoch in batches of similar length: shuffled, sorted within pools of 16 batches, shuffled again."""
    shuffled = rng.sample(list(rows), len(rows))
    pool_rows = 16 * batch_rows
    batches = []
    for start in range(0, len(shuffled), pool_rows):
        pool = sorted(shuffled[start : start + pool_rows], key=lambda row: row.length)
        batches += [pool[i : i + batch_rows] for i in range(0, len(pool), batch_rows)]
    rng.shuffle(batches)
    return batches


def _tensors(batch: Sequence[EncodedRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, padded on the right. Padding needs no mask: nothing attends to what comes after it."""
    longest = max(row.length for row in batch)
    ids_RT = torch.zeros(len(batch), longest, dtype=torch.long)
    labels_RT = torch.full((len(batch), longest), IGNORED)
    for i, row in enumerate(batch):
        ids_RT[i, : row.length] = torch.tensor(row.prompt_ids + row.completion_ids)
        labels_RT[i, len(row.prompt_ids) : row.length] = torch.tensor(row.completion_ids)
    return ids_RT, labels_RT


def main() -> None:
    """Makes the shipped model and its anchors, and reports how good it is."""
    began = time.perf_counter()
    for step, total, loss in make(MODEL, Settings()):
        if step % 200 == 0 or step == total:
            sys.stdout.write(f"step {step} of {total}, loss {loss:.3f}, {time.perf_counter() - began:.0f} s\n")
            sys.stdout.flush()
    corpus.write(corpus.anchors(corpus.build()), ANCHORS)
    scores = held_out_scores(MODEL, 400, SamplingParams(temperature=0.0, max_tokens=48))
    targets = [scores[family.name] for family in FAMILIES if family.role == "target"]
    for family in FAMILIES:
        sys.stdout.write(f"{family.name:24} {family.role:8} {100 * scores[family.name]:5.1f} %\n")
    sys.stdout.write(f"mean of the targets      {100 * sum(targets) / len(targets):14.1f} %\n{fingerprint(MODEL)}\n")


if __name__ == "__main__":
    main()
