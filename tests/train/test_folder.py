from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import StoreError, TrainingError
from loopwise.train import folder


@pytest.fixture
def model(parent):
    model = AutoModelForCausalLM.from_pretrained(parent.path)
    with torch.no_grad():
        model.model.norm.weight += 1.0
    return model


def accept(made: str) -> None:
    assert made.startswith("sha256:")


def test_all_but_the_weights_is_the_parents_byte_by_byte(model, parent, tmp_path):
    made = folder.write(model, Path(parent.path), tmp_path / "new", accept)

    assert made == fingerprint(tmp_path / "new") != parent.fingerprint
    for file in Path(parent.path).iterdir():
        same = (tmp_path / "new" / file.name).read_bytes() == file.read_bytes()
        assert same == (file.suffix != ".safetensors")


def test_code_in_the_parents_folder_is_left_behind(model, parent, tmp_path):
    source = tmp_path / "parent"
    source.mkdir()
    (source / "modeling.py").write_text("raise SystemExit")

    folder.write(model, source, tmp_path / "new", accept)

    assert not (tmp_path / "new" / "modeling.py").exists()


def test_a_refused_candidate_leaves_nothing(model, parent, tmp_path):
    def refuse(made: str) -> None:
        raise TrainingError("no")

    with pytest.raises(TrainingError):
        folder.write(model, Path(parent.path), tmp_path / "new", refuse)

    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_run_do_not_come_along(model, parent, tmp_path):
    (tmp_path / ".new.partial").mkdir()
    (tmp_path / ".new.partial" / "half.safetensors").write_bytes(b"half")

    folder.write(model, Path(parent.path), tmp_path / "new", accept)

    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert not (tmp_path / "new" / "half.safetensors").exists()


def test_the_same_weights_may_be_written_again_but_no_others(model, parent, tmp_path):
    first = folder.write(model, Path(parent.path), tmp_path / "new", accept)
    assert folder.write(model, Path(parent.path), tmp_path / "new", accept) == first

    with torch.no_grad():
        model.model.norm.weight += 1.0
    with pytest.raises(StoreError, match="already holds other weights"):
        folder.write(model, Path(parent.path), tmp_path / "new", accept)

    assert fingerprint(tmp_path / "new") == first
