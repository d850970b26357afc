from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from loopwise.tiny import tokenizer

disable_progress_bar()
torch.set_num_threads(1)


def write_model(folder: Path, seed: int, kind: str = "qwen3", context: int = 96) -> Path:
    """A random model with large weights, so that its answers vary, in a folder of its own."""
    built = tokenizer.build()
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": built.get_vocab_size(),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": context,
        "initializer_range": 0.2,
        "eos_token_id": built.token_to_id(tokenizer.END),
        "pad_token_id": built.token_to_id(tokenizer.PAD),
    }
    if kind == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, tie_word_embeddings=True))
    else:
        model = LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=False))
    for name, parameter in model.named_parameters():
        if "norm" in name:  # weights of one would hide a norm that is left out
            parameter.data.uniform_(0.5, 1.5)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.write(built, folder)
    generation = {"eos_token_id": model.config.eos_token_id, "pad_token_id": model.config.pad_token_id}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of releases: two Qwen3 models, a Llama, and a model that never ends."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "tiny@0", seed=0)
    write_model(folder / "tiny@1", seed=1)
    write_model(folder / "llama", seed=2, kind="llama")
    endless = write_model(folder / "endless", seed=3, context=8192)
    (endless / "generation_config.json").write_text(json.dumps({"eos_token_id": 9999}))
    return folder


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the releases for one server, which its tests may add to."""
    return Path(shutil.copytree(models, tmp_path_factory.mktemp("served") / "models"))


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A server over ``folder``, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "loopwise.engine.embedded.server", "--models", str(folder), "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(10) in (0, -15)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(address)
        except httpx.ConnectError:
            time.sleep(0.05)  # no event says that a port of another process is open
        else:
            return
    raise AssertionError("the server did not start")
