"""A turn that is killed in any of its stages is finished by the next call, with the same dataset."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopwise.cli.project import opened
from loopwise.loop import STAGES
from loopwise.store import attempts, journal
from loopwise.types import JsonObject

from .conftest import loopwise, make_project, small_toml

_POLL_S = 0.01
_PATIENCE_S = 120.0


def _kill_in(directory: Path, stage: str) -> None:
    """Runs a turn and kills it with SIGKILL once ``stage`` is under way."""
    with opened(directory) as project:
        process = subprocess.Popen(
            [sys.executable, "-m", "loopwise.cli.main", "turn", "--dir", str(directory)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE_S
        try:
            while True:
                with project.store.reading() as conn:
                    rows = journal.rows(conn, 1)
                    chunks = len(attempts.chunks_done(conn, 1))
                started = any(row["stage"] == stage and row["status"] == "started" for row in rows)
                if started and (stage != "practise" or chunks):
                    break
                assert process.poll() is None, f"the turn ended before {stage} was seen"
                assert time.monotonic() < deadline, f"{stage} did not begin"
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()


def _done(directory: Path) -> dict[str, JsonObject]:
    with opened(directory) as project, project.store.reading() as conn:
        return journal.done(conn, 1)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kill") / "project"
    return make_project(directory, small_toml())


def test_a_turn_killed_in_each_stage_ends_with_the_same_dataset_and_weights(untouched: Path, tmp_path: Path):
    whole = shutil.copytree(untouched, tmp_path / "whole")
    killed = shutil.copytree(untouched, tmp_path / "killed")
    loopwise_turn(whole)
    for stage in STAGES:
        if stage not in _done(killed):
            _kill_in(killed, stage)
    if "release" not in _done(killed):  # the last stage takes milliseconds: the kill may have come after it
        assert loopwise_turn(killed)["turn"] == 1
    expected, found = _done(whole), _done(killed)
    assert list(found) == list(STAGES)
    assert found["curate"]["dataset"] == expected["curate"]["dataset"]
    assert found["train"]["fingerprint"] == expected["train"]["fingerprint"]
    assert found["gate"]["checks"] == expected["gate"]["checks"]
    assert found["release"]["release"] == expected["release"]["release"]


def loopwise_turn(directory: Path) -> JsonObject:
    """One turn; whether so little training passes the gate is not what is tested here."""
    done = loopwise("turn", "--json", "--dir", str(directory), check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)
