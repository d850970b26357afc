"""What every method of training promises, over the table of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from loopwise.engine.embedded.weights import fingerprint
from loopwise.train import RunSettings, train
from loopwise.train.lesson import METHODS

from .conftest import example, silent

KINDS = {  # what each method learns best from
    "sft": [example(f"q{i}", "yes") for i in range(120)],
    "dpo": [example(f"q{i}", "yes", "pair", rejected="no") for i in range(120)],
    "kto": [example(f"q{i}", *(("yes", "approved") if i % 2 else ("no", "refused"))) for i in range(120)],
}
COMPLAINTS = [example(f"q{i}", "no", "refused") for i in range(60)]
ANCHORS = [example(f"a{i}", "anchored", "anchor") for i in range(8)]
SETTINGS = RunSettings(examples=320, batch=16, learning_rate=4e-3, seed=1)


def settings_for(method: str) -> RunSettings:
    return replace(SETTINGS, method=method, learning_rate={"sft": 4e-3, "dpo": 1e-1, "kto": 1.5e-1}[method])


@pytest.fixture(params=sorted(METHODS))
def method(request) -> str:
    return request.param


def slow_but(fast: str) -> list:
    """Every method, those besides ``fast`` in the long suite alone."""
    return [pytest.param(name, marks=[] if name == fast else [pytest.mark.slow]) for name in sorted(METHODS)]


def test_auto_chooses_the_method_that_learns_most_from_the_data(method, write_dataset, parent, tmp_path):
    dataset = write_dataset([*{**KINDS, "kto": COMPLAINTS}[method], *ANCHORS])

    made = train(dataset, parent, tmp_path / "c", replace(SETTINGS, examples=16), silent)

    assert made.trainer == made.metrics["method"]["method"] == method
    assert made.metrics["method"]["held"]["anchors"] == 8


def test_a_tiny_model_learns_what_it_is_not_shown_and_the_anchors(method, write_dataset, parent, tmp_path):
    dataset = write_dataset([*KINDS[method], *ANCHORS])

    made = train(dataset, parent, tmp_path / "c", settings_for(method), silent)

    held_out = [check["held_out_loss"] for check in made.metrics["checks"]]
    assert made.metrics["rows_held_out"] >= 5
    assert held_out[-1] < 0.8 * held_out[0]
    assert made.metrics["last_loss"] < made.metrics["first_loss"]
    assert AutoModelForCausalLM.from_pretrained(made.path).num_parameters() > 0  # reloads
    assert made.fingerprint == fingerprint(made.path) != parent.fingerprint


@pytest.mark.parametrize("weights", ["full", pytest.param("lora", marks=pytest.mark.slow)])
def test_the_same_seed_and_threads_give_the_same_weights(method, weights, write_dataset, parent, tmp_path):
    dataset = write_dataset([*KINDS[method], *ANCHORS])
    settings = replace(settings_for(method), weights=weights, examples=48)

    first = train(dataset, parent, tmp_path / "a", settings, silent)
    again = train(dataset, parent, tmp_path / "b", settings, silent)
    other = train(dataset, parent, tmp_path / "c", replace(settings, seed=2), silent)

    assert first.fingerprint == again.fingerprint != other.fingerprint
    before, after = (load_file(path / "model.safetensors") for path in (tmp_path / "a", tmp_path / "c"))
    assert before.keys() == after.keys()


@pytest.mark.parametrize("method", slow_but("dpo"))
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(method, write_dataset, parent, tmp_path):
    dataset = write_dataset([*KINDS[method], *ANCHORS])
    settings = replace(settings_for(method), examples=96, checkpoint_s=0.0)

    def stop(step: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    whole = train(dataset, parent, tmp_path / "whole", settings, silent)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, parent, tmp_path / "cut", settings, stop)
    left = sorted(path.name for path in (tmp_path / ".cut.training").glob("checkpoint-*"))
    resumed = train(dataset, parent, tmp_path / "cut", settings, silent)

    assert left == ["checkpoint-3", "checkpoint-4"]
    assert resumed.metrics["resumed_from"] == 4
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics["checks"] == whole.metrics["checks"]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_preferences_are_gone_through_twice_at_most(write_dataset, parent, tmp_path):
    made = train(write_dataset(KINDS["dpo"][:32]), parent, tmp_path / "c", replace(SETTINGS, examples=9_999), silent)

    assert (made.metrics["steps"], made.metrics["passes"]) == (4, 2.0)
