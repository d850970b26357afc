"""The short form of benchmarks/aa.py: equal candidates through the whole gate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "aa.py"


def test_equal_candidates_are_promoted_in_at_most_5_percent_of_trials(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--trials", "100", "--seed", "1", "--arm", "simulated"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "worst cell" in done.stdout
    cells = json.loads((tmp_path / "aa.json").read_text())["cells"]
    trials = sum(cell["trials"] for cell in cells)
    assert trials >= 1000
    assert sum(cell["promoted"] for cell in cells) / trials <= 0.05
    # the exact rates average 1.3 % (gate) and 1.8 % (target alone); 1,400 trials have standard errors below 0.4 %
    for counted, exact in (("promoted", "exact"), ("target_alone", "exact_target_alone")):
        expected = sum(cell[exact] for cell in cells) / len(cells)
        assert sum(cell[counted] for cell in cells) / trials == pytest.approx(expected, abs=0.012)
    assert (tmp_path / "aa.png").read_bytes().startswith(b"\x89PNG")
