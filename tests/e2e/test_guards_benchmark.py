"""The short form of benchmarks/guards: each arm is measured, a cut run goes on, and intervals are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.guards.report import interval

ROOT = Path(__file__).parents[2]


def test_an_interval_is_students():
    """Of 1, 2, 3: mean 2, standard error 1 / sqrt(3), and 4.302653 of these at two degrees of freedom."""
    found = interval([1.0, 2.0, 3.0])
    assert found == pytest.approx({"mean": 2.0, "low": 2 - 4.302653 / 3**0.5, "high": 2 + 4.302653 / 3**0.5})


@pytest.mark.slow
def test_the_short_form_measures_every_arm_once(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.guards", "--short", "--seeds", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "guards.json").read_text())
    rows = {row["arm"]: row for row in found["cells"]}
    assert list(rows) == ["none", "reliability", "quarantine and caps", "duplicates", "anchors", "calibration", "all"]
    assert rows["none"]["poisoned"] > 0
    assert rows["quarantine and caps"]["poisoned"] < rows["none"]["poisoned"]
    assert rows["all"]["rows"] < rows["none"]["rows"]
    assert (tmp_path / "guards.png").stat().st_size > 10_000
    (kept,) = (tmp_path / "cache").iterdir()
    assert len(kept.read_text().splitlines()) == 7
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:-1]) + '{"cell": [0, 0.3')
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "guards.json").read_text())["cells"] == found["cells"]
