"""The short form of benchmarks/curation.py: a few thousand records, made, curated, and told about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "curation.py"


@pytest.mark.slow
def test_the_short_form_measures_each_part_and_says_what_was_reached(tmp_path):
    command = [sys.executable, str(SCRIPT), "--records", "3000", "--out", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode in (0, 1), done.stderr
    document = json.loads((tmp_path / "curation.json").read_text())
    whole, parts = document["measured"]["whole"], document["measured"]["parts"]
    steps = {row["step"]: row for row in whole["steps"]}
    assert steps["redact"]["read"] == 3_000
    assert 300 <= steps["duplicates"]["read"] - steps["duplicates"]["kept"] <= 305  # a tenth are copies, some twice
    assert 250 <= steps["near duplicates"]["read"] - steps["near duplicates"]["kept"] <= 300  # a tenth nearly
    assert steps["balance"]["kept"] + whole["steps"][0]["read"] > whole["kept"] > 0
    assert set(parts["parts"]) == {"read", *steps, "mix anchors", "write"}
    assert all(row["ratio"] > 0 for row in document["targets"].values())
    assert "of datatrove's rate" not in document["targets"]  # its Python was not named
    assert (tmp_path / "curation.png").stat().st_size > 10_000
    assert "records/CPU s" in done.stdout
