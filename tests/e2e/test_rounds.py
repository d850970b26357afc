"""benchmarks/rounds: how its figures are read, what is kept of a run that was cut short, and its short form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.rounds.kept import Kept
from benchmarks.rounds.plan import SHORT, Cell, plan
from benchmarks.rounds.report import drift, gain, paired, table

ROOT = Path(__file__).parents[2]


def found(first: float, last: float, **more: Any) -> dict[str, Any]:
    return {"right": [first, last], "suite": [first, last], **more}


MEASURED = {
    Cell(0, "control"): found(0.4, 0.4, probe=[0.36, 0.40]),
    Cell(1, "control"): found(0.4, 0.4, probe=[0.38, 0.40]),
    Cell(0, "rounds"): found(0.4, 0.5),
    Cell(1, "rounds"): found(0.4, 0.6),
    Cell(0, "once"): found(0.4, 0.45),
    Cell(1, "once"): found(0.4, 0.57),
    Cell(2, "rounds"): found(0.4, 0.9),  # has no pair yet
    Cell(0, "rounds", 800): found(0.4, 0.8),
}


def test_points_are_those_of_the_last_model_over_the_first_and_are_paired_by_seed():
    assert gain(MEASURED[Cell(1, "rounds")]) == pytest.approx(20.0)
    rounds, once = Cell(0, "rounds").group, Cell(0, "once").group
    assert paired(MEASURED, rounds, once) == pytest.approx([5.0, 3.0])


def test_the_control_says_what_difference_it_would_have_seen():
    moved = drift(MEASURED, n=1_000)
    # 0.37 and 0.40 of 2,000 each: error sqrt(0.37 * 0.63 / 2,000 + 0.40 * 0.60 / 2,000) = 0.0153802
    assert moved == pytest.approx({"points": 3.0, "low": -0.01452, "high": 6.01452, "seen": 4.30646}, abs=1e-4)


def test_the_table_pairs_only_what_was_measured_in_both_arms():
    lines = table(MEASURED, SHORT)
    [ahead] = [line for line in lines if " ahead of " in line]
    assert "+4.0 [-8.7, +16.7], 2 seeds" in ahead  # mean of 5 and 3, half width 12.706 * 1.41421 / 1.41421


def test_a_cell_that_is_kept_is_not_measured_again_and_a_torn_line_is_dropped(tmp_path: Path):
    kept = Kept(tmp_path, SHORT)
    for cell in plan([3])[:2]:
        kept.put(cell, MEASURED[Cell(0, "rounds")])
    whole = kept.path.read_text()
    kept.path.write_text(whole + '{"cell": {"seed": 3, "a')
    again = Kept(tmp_path, SHORT)
    assert list(again.done) == plan([3])[:2]
    assert again.path.read_text() == whole


@pytest.mark.slow
def test_the_short_form_gives_every_arm_the_same_events_and_goes_on_where_it_stopped(tmp_path: Path):
    command = [sys.executable, "-m", "benchmarks.rounds", "--short", "--seeds", "0", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {cell["arm"]: cell for cell in json.loads((tmp_path / "rounds.json").read_text())["cells"]}
    assert cells["once"]["right"] == cells["control"]["right"]  # the same model, asked the same
    assert cells["rounds"]["right"][0] == cells["control"]["right"][0]
    assert cells["control"]["points"] == 0.0
    first, both = (made["kinds"]["demonstration"] for made in cells["rounds"]["datasets"])
    assert 0 < first < both  # the second round trains on what was said in the first, too
    assert (tmp_path / "rounds.png").read_bytes().startswith(b"\x89PNG")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Cell(" not in again.stdout  # nothing was measured anew
