"""A model folder of the embedded model's shape with random weights, and datasets as curate writes them."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

import loopwise.train  # noqa: F401  # before garbage is frozen
from loopwise.curate.parquet import write
from loopwise.engine.embedded.weights import fingerprint
from loopwise.train.method import Parent
from loopwise.types import Dataset, Example, ExampleKind, Release

os.environ["HF_HUB_OFFLINE"] = "1"

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} {{ c.function.arguments | tojson }}</call>"
    "{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MakeDataset = Callable[[Sequence[tuple[str, str]]], Dataset]
WriteDataset = Callable[[Sequence[Example]], Dataset]


def silent(step: str, done: int, total: int) -> None: ...


def example(question: str, answer: str, kind: ExampleKind = "practice", **more) -> Example:
    return Example(({"role": "user", "content": question},), answer, kind, "s", (question,), **more)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<|pad|>", "<|im_start|>", "<|im_end|>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|im_end|>", chat_template=TEMPLATE
    )


@pytest.fixture(scope="session", autouse=True)
def frozen_garbage():
    """What the imports made stays: each training collects garbage, which then takes milliseconds, not half a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("models") / "base"
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Release("base", "champion", None, None, fingerprint(folder), str(folder), at=0.0)


@pytest.fixture
def write_dataset(tmp_path: Path) -> WriteDataset:
    return lambda examples: write(examples, {}, tmp_path)


@pytest.fixture
def make_dataset(write_dataset: WriteDataset) -> MakeDataset:
    return lambda pairs: write_dataset(
        [replace(example(question, answer), provenance=(str(i),)) for i, (question, answer) in enumerate(pairs)]
    )


@pytest.fixture
def made_with(parent) -> Parent:
    """What batches are made with."""
    model = AutoModelForCausalLM.from_pretrained(parent.path)
    return Parent(model, pad_id=256, max_length=128)


def answer_logp(model, tokenizer, question: str, answer: str) -> list[float]:
    """Log-probabilities of an answer's tokens, from the text of the template and full logits: shares no code with
    training."""
    head = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([tokenizer(f"{head}{answer}<|im_end|>")["input_ids"]])
    start = len(tokenizer(head)["input_ids"])
    with torch.no_grad():
        logp = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    return [logp[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1])]


def moved(parent: Release, seed: int = 0):
    """The parent's model, a little away from it."""
    model = AutoModelForCausalLM.from_pretrained(parent.path)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.02 * torch.randn(tensor.shape, generator=noise)
    return model
