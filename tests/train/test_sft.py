from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import StoreError, TrainingError
from loopwise.train import RunSettings, train

from .conftest import answer_logp, silent

PAIRS = [("ab", "yes"), ("cd", "no"), ("ef", "maybe"), ("gh", "42"), ("ij", "A"), ("kl", "B"), ("mn", "C"), ("op", "D")]
SHORT = RunSettings(examples=64, batch=8, learning_rate=2e-3, seed=1)


def greedy(folder: Path, question: str) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    return tokenizer.decode(made[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def test_a_tiny_model_learns_reloads_and_serves_what_it_learned(parent, make_dataset, tmp_path):
    settings = RunSettings(examples=1_600, batch=16, learning_rate=4e-3)
    told: list[tuple[str, int, int]] = []

    dataset = make_dataset(PAIRS)
    made = train(dataset, parent, tmp_path / "c1", settings, lambda *step: told.append(step))

    assert [greedy(made.path, question) for question, _ in PAIRS] == [answer for _, answer in PAIRS]
    assert made.metrics["last_loss"] < 0.1 < 3.0 < made.metrics["first_loss"]
    assert told == [("train", step, 100) for step in range(1, 101)]
    assert made.fingerprint == fingerprint(made.path) != parent.fingerprint
    assert (made.name, made.parent, made.dataset) == ("c1", "base", dataset.name)


def test_the_candidate_says_what_is_needed_to_make_it_again(parent, make_dataset, tmp_path):
    made = train(make_dataset(PAIRS), parent, tmp_path / "c1", SHORT, silent)

    assert made.settings == {
        "method": "auto",
        "weights": "full",
        "examples": 64,
        "batch": 8,
        "learning_rate": 2e-3,
        "max_length": 1_024,
        "lora_rank": 16,
        "kl_limit": None,
        "seed": 1,
        "threads": None,
        "checkpoint_s": 60.0,
    }
    assert (made.metrics["steps"], made.metrics["examples"], made.metrics["passes"]) == (8, 64, 8.0)
    assert made.metrics["threads"] == 1
    assert [point["step"] for point in made.metrics["history"]] == list(range(1, 9))
    assert made.metrics["history"][-1]["learning_rate"] < made.metrics["history"][1]["learning_rate"]
    assert {"torch", "transformers", "trl"} <= made.versions.keys()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(parent, make_dataset, tmp_path):
    dataset = make_dataset(PAIRS * 3)

    first = train(dataset, parent, tmp_path / "a", SHORT, silent)
    again = train(dataset, parent, tmp_path / "b", SHORT, silent)
    other = train(dataset, parent, tmp_path / "c", replace(SHORT, seed=2), silent)

    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_lora_is_merged_so_that_the_folder_serves_without_adapters(parent, make_dataset, tmp_path):
    settings = RunSettings(weights="lora", examples=128, batch=8, learning_rate=1e-2, lora_rank=4)

    made = train(make_dataset(PAIRS), parent, tmp_path / "c1", settings, silent)

    before = load_file(Path(parent.path) / "model.safetensors")
    after = load_file(made.path / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rsplit(".", 2)[-2] for name in changed} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert made.metrics["last_loss"] < made.metrics["first_loss"] - 0.5
    delta = after["model.layers.0.mlp.up_proj.weight"] - before["model.layers.0.mlp.up_proj.weight"]
    assert torch.linalg.matrix_rank(delta, atol=1e-5) <= 4


def test_lora_repeats_by_its_seed(parent, make_dataset, tmp_path):
    dataset, settings = make_dataset(PAIRS), replace(SHORT, weights="lora", examples=8)

    first = train(dataset, parent, tmp_path / "a", settings, silent)
    again = train(dataset, parent, tmp_path / "b", settings, silent)

    assert first.fingerprint == again.fingerprint


def test_the_loss_is_the_mean_over_answer_tokens_alone(parent, make_dataset, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(parent.path)
    model = AutoModelForCausalLM.from_pretrained(parent.path)
    logps = [logp for pair in PAIRS for logp in answer_logp(model, tokenizer, *pair)]

    made = train(make_dataset(PAIRS), parent, tmp_path / "c", replace(SHORT, examples=8, batch=8), silent)

    assert made.metrics["first_loss"] == pytest.approx(-sum(logps) / len(logps), rel=1e-4)


def test_training_leaves_the_number_of_threads_as_it_was(parent, make_dataset, tmp_path):
    made = train(make_dataset(PAIRS), parent, tmp_path / "c1", replace(SHORT, threads=2, examples=8), silent)

    assert made.metrics["threads"] == 2
    assert torch.get_num_threads() == 1


def test_a_loss_that_is_not_a_number_stops_at_once_and_leaves_nothing(parent, make_dataset, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(parent.path, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][0] = torch.nan
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    release = replace(parent, path=str(broken), fingerprint=fingerprint(broken))
    told: list[int] = []

    with pytest.raises(TrainingError, match="loss was nan at step 1"):
        train(make_dataset(PAIRS), release, tmp_path / "c1", SHORT, lambda _, done, total: told.append(done))

    assert told == []
    assert not (tmp_path / "c1").exists()


def test_weights_that_training_did_not_change_are_refused(parent, make_dataset, tmp_path):
    with pytest.raises(TrainingError, match="every weight as it was"):
        train(make_dataset(PAIRS), parent, tmp_path / "c1", replace(SHORT, learning_rate=1e-60), silent)

    assert not (tmp_path / "c1").exists()


def test_a_parent_that_is_not_what_was_released_is_refused(parent, make_dataset, tmp_path):
    with pytest.raises(StoreError, match="restore the folder"):
        train(make_dataset(PAIRS), replace(parent, fingerprint="sha256:other"), tmp_path / "c", SHORT, silent)


def test_training_prints_nothing(parent, make_dataset, tmp_path, capfd):
    train(make_dataset(PAIRS), parent, tmp_path / "c1", SHORT, silent)

    assert capfd.readouterr() == ("", "")
