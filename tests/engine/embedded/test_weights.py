from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from loopwise.engine.embedded.weights import fingerprint, load
from loopwise.errors import EngineError


def test_fingerprint_is_the_hash_of_names_types_shapes_and_bytes() -> None:
    tensors = {"b": torch.tensor([1.0]), "a": torch.tensor([[2, 3]], dtype=torch.int16)}
    expected = hashlib.sha256(
        b'{"dtype": "int16", "name": "a", "shape": [1, 2]}\n\x02\x00\x03\x00'
        b'{"dtype": "float32", "name": "b", "shape": [1]}\n\x00\x00\x80\x3f'
    ).hexdigest()
    assert fingerprint(tensors) == f"sha256:{expected}"


def test_fingerprint_does_not_depend_on_how_tensors_lie_in_files(models: Path, tmp_path: Path) -> None:
    tensors = load_file(models / "tiny@0" / "model.safetensors")
    names = sorted(tensors, reverse=True)
    save_file({name: tensors[name] for name in names[:5]}, tmp_path / "z.safetensors")
    save_file({name: tensors[name] for name in names[5:]}, tmp_path / "a.safetensors")
    assert fingerprint(tmp_path) == fingerprint(models / "tiny@0") == load(models / "tiny@0").fingerprint


def test_fingerprint_of_a_folder_is_that_of_the_model_loaded_from_it(models: Path) -> None:
    for name in ("tiny@0", "llama"):
        model = AutoModelForCausalLM.from_pretrained(models / name)
        assert fingerprint(model.state_dict()) == fingerprint(models / name)


def test_one_changed_bit_changes_the_fingerprint(models: Path) -> None:
    tensors = load_file(models / "tiny@0" / "model.safetensors")
    before = fingerprint(tensors)
    tensors["model.norm.weight"].view(torch.int32)[0] ^= 1
    assert fingerprint(tensors) != before


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "tiny@0", tmp_path / "copy"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "is a GPT2LMHeadModel"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "has scaled rotary positions"),
        ({"attention_bias": True}, "has biases in attention"),
        ({"hidden_size": 32}, "has the shape"),
        ({"num_hidden_layers": 3}, "lacks the tensor 'model.layers.2"),
        ({"hidden_size": None}, "lacks 'hidden_size'"),
    ],
)
def test_a_model_of_another_shape_is_refused_with_a_sentence(copy: Path, change: dict, sentence: str) -> None:
    config = json.loads((copy / "config.json").read_text()) | change
    config = {key: value for key, value in config.items() if value is not None}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match=sentence):
        load(copy)


def test_broken_folders_are_refused_with_a_sentence(copy: Path) -> None:
    with pytest.raises(EngineError, match=r"no readable config\.json"):
        load(copy / "nowhere")
    (copy / "model.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(EngineError, match="not readable as safetensors"):
        load(copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(EngineError, match=r"holds no \.safetensors file"):
        load(copy)
