from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers.trainer_callback import TrainerControl

from loopwise.train.checkpoints import Saving, opened

from .conftest import example

RUN = {"dataset": "sha256:d", "seed": 1}


def whole(folder: Path, step: int) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir()
    (made / "loopwise.json").write_text("{}")
    return made


def test_the_last_whole_checkpoint_of_the_same_run_is_found(tmp_path):
    folder, found = opened(tmp_path / "c", RUN)
    assert found is None
    whole(folder, 9)
    last = whole(folder, 10)
    (folder / "checkpoint-11").mkdir()  # killed while it was written

    assert opened(tmp_path / "c", RUN) == (folder, last)


def test_checkpoints_of_another_run_are_removed(tmp_path):
    folder, _ = opened(tmp_path / "c", RUN)
    whole(folder, 10)

    _, found = opened(tmp_path / "c", {**RUN, "seed": 2})

    assert found is None
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def asked(saving: Saving, step: int, total: int = 100) -> bool:
    control = TrainerControl()
    saving.on_step_end(None, SimpleNamespace(global_step=step, max_steps=total), control)
    return control.should_save


def test_a_checkpoint_is_asked_for_when_it_is_time_and_never_at_the_end(tmp_path):
    assert not asked(Saving(tmp_path, 3_600.0, dict), 5)
    assert asked(Saving(tmp_path, 0.0, dict), 5)
    assert not asked(Saving(tmp_path, 0.0, dict), 100)


def test_slow_checkpoints_are_made_more_rarely(tmp_path):
    saving = Saving(tmp_path, 1e-9, lambda: {"points": []})
    assert asked(saving, 5)
    saving.asked -= 30.0  # as if saving had taken half a minute
    (tmp_path / "checkpoint-5").mkdir()

    saving.on_save(None, SimpleNamespace(global_step=5), None)

    assert saving.every_s == pytest.approx(600.0, rel=0.05)
    assert json.loads((tmp_path / "checkpoint-5" / "loopwise.json").read_text()) == {"points": []}
    assert not asked(saving, 6)


@pytest.mark.slow
def test_a_killed_process_goes_on_and_ends_with_the_same_weights(parent, write_dataset, tmp_path):
    dataset = write_dataset([example(f"q{i}", f"answer {i}") for i in range(64)])
    script = [sys.executable, str(Path(__file__).with_name("killed_training.py")), parent.path, str(dataset.path)]

    def run(out: str) -> list[str]:
        return [*script, str(tmp_path / out), parent.fingerprint]

    killed = subprocess.Popen(run("cut"), stdout=subprocess.PIPE, text=True)
    for line in killed.stdout:
        if line == "step 12\n":
            killed.send_signal(signal.SIGKILL)
            break
    assert killed.wait() == -signal.SIGKILL
    killed.stdout.close()
    assert not (tmp_path / "cut").exists()
    *_, resumed = subprocess.run(run("cut"), check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    *_, straight = subprocess.run(run("straight"), check=True, capture_output=True, text=True).stdout.split("\n")[:-1]

    fingerprint, begun_at = resumed.split()
    assert 10 <= int(begun_at) < 24
    assert straight == f"{fingerprint} None"
    assert list(tmp_path.glob(".*")) == []
