from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from loopwise.engine.embedded.weights import fingerprint
from loopwise.tiny import MODEL
from loopwise.tiny.families import FAMILIES
from loopwise.tiny.recipe import Settings, held_out_scores, make
from loopwise.types import SamplingParams

SHIPPED = "sha256:5034917c21dc195ddc74c590d8d4a7bc15db0e2e7f73fcfd5378dd8f4b48f473"


def short_run(folder: Path, settings: Settings) -> tuple[str, list[float]]:
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    losses = [loss for _, _, loss in make(folder, settings, steps=12)]
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    return fingerprint(folder), losses


def test_the_recipe_gives_the_same_fingerprint_for_the_same_seed(tmp_path: Path) -> None:
    first, losses = short_run(tmp_path / "a", Settings())
    second, _ = short_run(tmp_path / "b", Settings())
    other, _ = short_run(tmp_path / "c", Settings(seed=1))
    assert first == second
    assert first != other
    assert losses[-1] < losses[0]
    assert {path.name for path in (tmp_path / "a").iterdir()} == {path.name for path in MODEL.iterdir()}


def test_the_shipped_model_is_the_recorded_one_and_small() -> None:
    assert fingerprint(MODEL) == SHIPPED
    assert (MODEL / "model.safetensors").stat().st_size <= 4e6
    model = AutoModelForCausalLM.from_pretrained(MODEL)
    assert model.dtype == torch.float32
    assert 300_000 < sum(parameter.numel() for parameter in model.parameters()) < 500_000
    assert model.config.head_dim == 32


def test_the_shipped_model_is_mediocre_on_held_out_questions_and_could_do_better() -> None:
    greedy = held_out_scores(MODEL, 200, SamplingParams(temperature=0.0, max_tokens=24))
    targets = [greedy[family.name] for family in FAMILIES if family.role == "target"]
    assert 0.35 <= sum(targets) / len(targets) <= 0.55
    for family in FAMILIES:
        if family.role == "anchor":
            assert greedy[family.name] >= 0.5


def distance(one: Path, other: Path) -> float:
    """The norm of the difference of all weights, relative to the norm of ``other``'s."""
    made, shipped = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert made.keys() == shipped.keys()
    squares = [((made[name] - shipped[name]) ** 2).sum().item() for name in shipped]
    return (sum(squares) / sum((tensor**2).sum().item() for tensor in shipped.values())) ** 0.5


@pytest.mark.slow
def test_the_recipe_gives_the_shipped_model_again(tmp_path: Path) -> None:
    """Another processor rounds differently, and 2,000 steps make 0.26 of that (measured); another seed is 1.38 away."""
    for _ in make(tmp_path, Settings()):
        pass
    assert distance(tmp_path, MODEL) < 0.6
    greedy = SamplingParams(temperature=0.0, max_tokens=24)
    again, shipped = held_out_scores(tmp_path, 200, greedy), held_out_scores(MODEL, 200, greedy)
    for family in FAMILIES:
        assert again[family.name] == pytest.approx(shipped[family.name], abs=0.15)
