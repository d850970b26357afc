from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwise.engine.embedded.local import LocalEngine
from loopwise.engine.embedded.weights import fingerprint
from loopwise.errors import EngineError
from loopwise.types import Engine, SamplingParams

PROMPTS = [[{"role": "user", "content": f"word {i}"}] for i in range(150)]
PARAMS = SamplingParams(n=8, max_tokens=6, seed=5, logprobs=True)  # 1,200 rows: three shards


@pytest.fixture(scope="module")
def engine(models: Path) -> Iterator[LocalEngine]:
    with LocalEngine(models, processes=2) as started:
        yield started


def test_answers_are_the_same_for_any_number_of_processes(engine: LocalEngine, models: Path) -> None:
    protocol: Engine = engine
    two = protocol.sample("tiny@0", PROMPTS, PARAMS)
    with LocalEngine(models, processes=1) as single:
        assert single.sample("tiny@0", PROMPTS, PARAMS) == two
    assert [len(completions) for completions in two] == [8] * 150
    assert len({completion.text for completions in two for completion in completions}) > 500


def test_no_seed_means_another_draw_each_time(engine: LocalEngine) -> None:
    params = SamplingParams(n=4, max_tokens=12)
    assert engine.sample("tiny@0", PROMPTS[:2], params) != engine.sample("tiny@0", PROMPTS[:2], params)


def test_fingerprint_is_that_of_the_folder(engine: LocalEngine, models: Path) -> None:
    assert engine.fingerprint("tiny@1") == fingerprint(models / "tiny@1") != engine.fingerprint("tiny@0")


def test_an_error_in_a_worker_reaches_the_caller_and_the_engine_lives_on(engine: LocalEngine) -> None:
    with pytest.raises(EngineError, match="There is no release 'missing'"):
        engine.sample("missing", PROMPTS, PARAMS)
    with pytest.raises(EngineError, match="The prompt has"):
        engine.sample("tiny@0", [*PROMPTS, [{"role": "user", "content": "x" * 500}]], PARAMS)
    assert len(engine.sample("tiny@0", PROMPTS[:1], PARAMS)[0]) == 8
    assert engine.sample("tiny@0", [], PARAMS) == []


def test_a_dead_worker_is_a_clear_error(models: Path) -> None:
    with LocalEngine(models, processes=2) as engine:
        engine.fingerprint("tiny@0")
        os.kill(next(iter(engine._workers.values())).pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="A sampling process ended early"):
            engine.sample("tiny@0", PROMPTS, PARAMS)
        with pytest.raises(EngineError, match="closed"):
            engine.sample("tiny@0", PROMPTS, PARAMS)


def test_workers_end_when_their_parent_is_killed(models: Path) -> None:
    code = (
        "import sys, pathlib; from loopwise.engine.embedded.local import LocalEngine;"
        f"engine = LocalEngine(pathlib.Path({str(models)!r}), 2); engine.fingerprint('tiny@0');"
        "print(*[worker.pid for worker in engine._workers.values()], flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() and "zombie" not in _state(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)  # not our children: there is no event to wait for


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return "zombie"
