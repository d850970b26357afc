"""The short form of benchmarks/gateway: every part runs, every acknowledged row is stored, nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SIZES = ("--rounds", "1", "--seconds", "0.05", "--soak", "300", "--small", "300", "--large", "600")


def _command(work: Path, out: Path, *args: str) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.gateway", *SIZES, "--warm-s", "0", "--litellm", "none"]
    return [*command, "--work", str(work), "--out", str(out), *args]


def _left_in(work: Path) -> list[str]:
    """Files and processes that a run has left."""
    named = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [*map(str, work.iterdir()), *(line for line in named if str(work) in line)]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_one_command_measures_every_part_and_finds_each_acknowledged_row_in_the_store(work: Path, tmp_path: Path):
    out = tmp_path / "out"
    done = subprocess.run(_command(work, out), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((out / "gateway.json").read_text())
    asked = {(c["kind"], c["connections"], c["path"]) for c in found["cells"] if c["part"] == "serve" and "per_s" in c}
    paths = ("direct", "bare", "loopwise")
    assert asked == {(kind, n, path) for kind in ("whole", "stream", "paced") for n in (1, 16, 32) for path in paths}
    assert {cell["part"] for cell in found["cells"]} == {"serve", "feedback", "soak", "grow", "seed"}
    counts = [cell for cell in found["cells"] if cell["kind"] == "recorded"]
    assert {(cell["part"], cell["path"]) for cell in counts} == {
        (part, path) for part in ("serve", "feedback") for path in ("bare", "loopwise")
    }
    assert all(cell["acknowledged"] == cell["recorded"] > 0 for cell in counts)
    (soak,) = (cell for cell in found["cells"] if cell["part"] == "soak")
    assert soak["answered"] == 300
    assert [point[1] for point in soak["curve"]][-1] == 300
    astray = found["targets"][-1]
    assert (astray["median"], astray["met"]) == (0.0, True)
    by_name = {target["name"]: target for target in found["targets"]}
    assert by_name["whole answers per core, to LiteLLM, 16"]["met"] is None  # left out
    assert by_name["whole answers per second, to bare proxy, 16"]["met"] is not None
    assert (out / "gateway.png").read_bytes().startswith(b"\x89PNG")
    assert _left_in(work) == []


@pytest.mark.slow
def test_a_stopped_run_leaves_no_process_and_no_store_and_goes_on_from_its_last_round(work: Path, tmp_path: Path):
    out = tmp_path / "out"
    command = _command(work, out, "--parts", "feedback", "--rounds", "400")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if "round 1 of 400" in line)
        run.send_signal(signal.SIGINT)
        assert "goes on from there" in run.stdout.read()
    assert run.returncode == 130
    assert _left_in(work) == []
    (kept,) = (out / "cache").glob("gateway-*.json")
    first = json.loads(kept.read_text())["feedback 0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if "round" in line and "round 1 of" not in line)
        run.send_signal(signal.SIGTERM)
        run.stdout.read()
    assert json.loads(kept.read_text())["feedback 0"] == first
    assert _left_in(work) == []


def test_the_seeder_makes_the_same_rows_for_the_same_seed_in_a_store_that_opens(tmp_path: Path):
    from loopwise.store import Store, exchanges, feedback, releases

    seen: list[Any] = []
    for place, seed in (("one", "1"), ("same", "1"), ("other", "2")):
        folder = tmp_path / place
        command = [sys.executable, "-m", "benchmarks.gateway.seed", str(folder), "--exchanges", "1000", "--seed", seed]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        store = Store("sqlite:///loopwise.db", folder)
        with store.reading() as conn:
            served = [row for _, row in exchanges.up_to(conn, exchanges.watermark(conn))]
            said = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
            assert releases.the_champion(conn).name == served[-1].release
            indexes = {row[0] for row in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'index'")}
        store.close()
        assert json.loads(done.stdout)["feedback"] == len(said)
        assert {"exchanges_user", "exchanges_episode", "feedback_exchange"} <= indexes
        seen.append((served, said))
    assert seen[0] == seen[1] != seen[2]
    served, said = seen[0]
    assert len({row.id for row in served}) == 1_000
    assert [row.at for row in served] == sorted(row.at for row in served)
    assert 89 * 86_400 < served[-1].at - served[0].at < 90 * 86_400
    assert 25 <= len(said) <= 80  # a twentieth: 50, give or take four standard deviations of 7
    assert {row.exchange_id for row in said} <= {row.id for row in served}
    answered = [row.response["choices"][0]["message"]["content"] for row in served if row.response]
    assert len(set(answered)) == len(answered) > 950

    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "holds exchanges already" in again.stderr
