"""The short form of benchmarks/gateway: every part runs, every acknowledged row is stored, nothing is left behind."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopwise.store import Store, exchanges, feedback, releases
from loopwise.types import Exchange, Feedback

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


def _seed(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gateway.seed", str(folder), "--exchanges", "1000", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _seeded(folder: Path, *args: str, url: str = "sqlite:///loopwise.db") -> tuple[list[Exchange], list[Feedback]]:
    """Seeds a store and reads it back."""
    done = _seed(folder, *args, "--url", url)
    assert done.returncode == 0, done.stderr
    with closing(Store(url, folder)) as store, store.reading() as conn:
        served = [row for _, row in exchanges.up_to(conn, exchanges.watermark(conn))]
        said = [row for _, row in feedback.up_to(conn, feedback.watermark(conn))]
        assert releases.the_champion(conn).name == served[-1].release
    assert json.loads(done.stdout)["feedback"] == len(said)
    return served, said


def test_the_seeder_makes_the_same_rows_for_the_same_seed_and_others_for_another(tmp_path: Path):
    served, said = _seeded(tmp_path / "one", "--seed", "1")
    assert (served, said) == _seeded(tmp_path / "same", "--seed", "1")
    other, _ = _seeded(tmp_path / "other", "--seed", "2")
    assert not {row.id for row in served} & {row.id for row in other}


def test_seeded_rows_are_such_as_three_months_of_traffic_leave(tmp_path: Path):
    served, said = _seeded(tmp_path)
    assert len({row.id for row in served}) == 1_000
    assert [row.at for row in served] == sorted(row.at for row in served)
    assert 89 * 86_400 < served[-1].at - served[0].at < 90 * 86_400
    assert 22 <= len(said) <= 78  # a twentieth: 50, give or take four standard deviations of 6.9
    assert {row.exchange_id for row in said} <= {row.id for row in served}
    assert len({row.release for row in served}) == 5
    answers = [row.response["choices"][0]["message"]["content"] for row in served if row.response]
    assert len(set(answers)) == len(answers) > 950
    sizes = [len(json.dumps(row.request)) + len(json.dumps(row.response)) for row in served]
    assert 800 < sum(sizes) / len(sizes) < 1_600


def test_a_seeded_store_has_every_index_of_one_that_was_not_and_is_not_seeded_twice(tmp_path: Path):
    def indexes(folder: Path) -> set[str]:
        with closing(sqlite3.connect(folder / "loopwise.db")) as database:
            return {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE type = 'index'")}

    for folder in ("seeded", "plain"):
        (tmp_path / folder).mkdir()
    assert _seed(tmp_path / "seeded").returncode == 0
    Store("sqlite:///loopwise.db", tmp_path / "plain", create=True).close()
    assert indexes(tmp_path / "seeded") == indexes(tmp_path / "plain")
    again = _seed(tmp_path / "seeded")
    assert again.returncode == 2
    assert "holds exchanges already" in again.stderr


def test_postgres_is_seeded_with_the_same_rows_as_sqlite(tmp_path: Path, postgres_database: Callable[[], str]):
    assert _seeded(tmp_path / "postgres", url=postgres_database()) == _seeded(tmp_path / "sqlite")
