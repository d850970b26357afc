from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoConfig, Qwen3Config

from loopwise.errors import TrainingError
from loopwise.train import RunSettings, memory, train
from loopwise.train.rows import Row, TokenRow

from .conftest import byte_tokenizer, example, silent

FACTOR = 2.0  # the estimate and the measured peak lie within this factor of each other


def test_weights_gradients_and_optimizer_are_four_times_the_parameters(parent):
    config = AutoConfig.from_pretrained(parent.path)
    # 259 tokens of 64; two layers: q and o 64x64, k and v 64x64, three feed-forward 64x128, two head norms of 32,
    # two norms of 64; a last norm. The head is the embedding.
    parameters = 259 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 32 + 2 * 64) + 64
    row = Row("practice", "p", TokenRow(tuple(range(20)), 15, 1.0))

    need = memory.need(config, [row], RunSettings(batch=8), sequences=1)

    assert (need.weights, need.gradients, need.optimizer) == (4 * parameters, 4 * parameters, 8 * parameters)
    assert need.logits == 3 * 8 * 5 * 259 * 4
    assert memory.need(config, [row], RunSettings(batch=16), 2).activations == 4 * need.activations


def test_adapters_need_gradients_for_themselves_alone(parent):
    config = AutoConfig.from_pretrained(parent.path)
    row = Row("practice", "p", TokenRow(tuple(range(20)), 15, 1.0))
    adapters = 2 * 4 * (4 * (64 + 64) + 3 * (64 + 128))  # rank 4 for each linear layer of two layers

    need = memory.need(config, [row], RunSettings(weights="lora", lora_rank=4), sequences=1)

    assert (need.gradients, need.optimizer) == (4 * adapters, 8 * adapters)


def test_a_run_that_does_not_fit_is_refused_with_what_to_lower():
    need = memory.Need(weights=4 * 2**30, gradients=4 * 2**30, optimizer=8 * 2**30, activations=2**30, logits=2**29)

    with pytest.raises(TrainingError) as caught:
        memory.check(need, 8 * 2**30, RunSettings(batch=64))

    assert "about 17.5 GiB (optimizer 8.0 GiB, weights 4.0 GiB" in str(caught.value)
    assert "8.0 GiB are free: lower [train] batch (now 64) or max_length (now 1024), or set weights = 'lora'" in (
        str(caught.value)
    )
    memory.check(need, 18 * 2**30, RunSettings())
    memory.check(need, None, RunSettings())


def test_nothing_is_loaded_or_left_when_memory_is_too_small(parent, write_dataset, tmp_path):
    """A window of 128 tokens in batches of eight million: the sum is real, and no machine has it."""
    dataset = write_dataset([example(f"q{i}", "a" * 40) for i in range(10)])

    with pytest.raises(TrainingError, match=r"Training would need about .* GiB \(activations"):
        train(dataset, parent, tmp_path / "c", RunSettings(batch=8_000_000, examples=8_000_000), silent)

    assert [path.name for path in tmp_path.iterdir() if path.suffix not in (".parquet", ".json")] == []


def test_a_container_limits_what_is_free(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory._container(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._container(tmp_path) is None


MEASURE = """
import json, os, sys, threading, time
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
torch.set_num_threads(1)
from pathlib import Path
from loopwise.engine.embedded.weights import fingerprint
from loopwise.train import RunSettings, train
from loopwise.types import Dataset, Release
folder, dataset, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
release = Release("base", "champion", None, None, fingerprint(folder), str(folder), 0.0)
made = lambda out, **more: train(Dataset("sha256:d", dataset, 64, {}), release, folder.parent / out,
    RunSettings(**{**settings, **more}), lambda *step: None)
peak = before = resident()
over = False
def watch():
    global peak
    while not over:
        peak = max(peak, resident())
        time.sleep(0.005)
thread = threading.Thread(target=watch)
thread.start()
done = made("out")
over = True
thread.join()
print(json.dumps({"measured": peak - before, "estimated": done.metrics["memory_bytes"]["total"]}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "length", "settings"),
    [
        (512, 60, {"batch": 4, "examples": 12}),  # weights and optimizer dominate
        (128, 400, {"batch": 16, "examples": 32}),  # activations dominate
        (128, 200, {"batch": 8, "examples": 16, "method": "dpo"}),  # two sequences for each row
    ],
)
def test_the_estimate_is_within_a_factor_of_two_of_the_measured_peak(width, length, settings, write_dataset, tmp_path):
    folder = wide_model(tmp_path / "wide", width)
    kind = {"kind": "pair", "rejected": "no"} if settings.get("method") == "dpo" else {}
    dataset = write_dataset([example(f"{i:02d}" * (length // 2), "yes" * 8, **kind) for i in range(64)])

    printed = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), str(dataset.path), json.dumps(settings)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip

    found = json.loads(printed.stdout)
    assert found["measured"] > 64 * 2**20  # enough to tell from noise
    assert 1 / FACTOR < found["estimated"] / found["measured"] < FACTOR


def wide_model(folder: Path, width: int) -> Path:
    import torch
    from transformers import Qwen3ForCausalLM

    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=2_048,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=6,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
