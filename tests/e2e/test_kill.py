"""A turn that is killed in any of its stages is finished by the next call, with the same dataset."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loopwise.cli.project import opened
from loopwise.loop import STAGES
from loopwise.store import attempts, exchanges, feedback, journal
from loopwise.types import Exchange, Feedback, JsonObject

from .conftest import loopwise, make_project, small_toml

_LONG = ("practise", "train")  # these are killed half way, too
_KILLS = [(stage, when) for stage in STAGES for when in (("during", "after") if stage in _LONG else ("after",))]
_FEW = [("train", "during")]
_SHORT = {"examples = 3000": "examples = 640", "n = 300": "n = 40"}  # what is learned is not what is tested here


def _kill(directory: Path, stage: str, when: str) -> None:
    program = Path(__file__).with_name("killed_turn.py")
    done = subprocess.run([sys.executable, str(program), str(directory), stage, when], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _done(directory: Path) -> dict[str, JsonObject]:
    with opened(directory) as project, project.store.reading() as conn:
        return journal.done(conn, 1)


def _turn(directory: Path) -> JsonObject:
    """One turn; so little training need not pass the gate."""
    done = loopwise("turn", "--json", "--dir", str(directory), check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def _say(directory: Path) -> None:
    """An answer that somebody corrected, so that people, too, are in the dataset."""
    with opened(directory) as project, project.store.writing() as conn:
        champion = project.champion()
        request = {"messages": [{"role": "user", "content": "Spell this word backward (example: sun -> nus): zebra"}]}
        response = {"choices": [{"index": 0, "message": {"content": "?"}}]}
        served = ("loopwise", champion.name, champion.fingerprint, "champion", 1.0)
        exchanges.add(conn, [Exchange("ex_1", 1.0, *served, request, response, 200, 0.1, user="u1")])
        feedback.add(conn, [Feedback("fb_1", 2.0, "correction", "arbez", "ex_1", user="u1")])


@pytest.mark.parametrize("kills", [_FEW, pytest.param(_KILLS, marks=pytest.mark.slow)], ids=["few", "each"])
def test_a_turn_killed_in_any_stage_ends_with_the_same_dataset_and_weights(
    tmp_path: Path, kills: list[tuple[str, str]]
):
    whole = make_project(tmp_path / "whole", small_toml(changes=_SHORT))
    _say(whole)
    killed = shutil.copytree(whole, tmp_path / "killed")
    assert _turn(whole)["turn"] == 1
    for stage, when in kills:
        if stage not in _done(killed):
            _kill(killed, stage, when)
            assert stage not in _done(killed)
    with opened(killed) as project, project.store.reading() as conn:
        assert attempts.counts(conn, 1) == {"problems": 300, "attempts": 1200}  # no chunk twice
    assert _turn(killed)["turn"] == 1
    expected, found = _done(whole), _done(killed)
    assert list(found) == list(STAGES)
    assert found["curate"]["dataset"] == expected["curate"]["dataset"]
    assert found["curate"]["people"] == 2  # the correction, and that it is better than the answer
    assert found["train"]["fingerprint"] == expected["train"]["fingerprint"]
    assert found["gate"]["checks"] == expected["gate"]["checks"]
    assert found["release"]["release"] == expected["release"]["release"]
