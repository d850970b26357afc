from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopwise.errors import ExternalError, SettingsError, UnknownNameError
from loopwise.types import Problem
from loopwise.verify.pool import VerifierPool

HOSTILE = str(Path(__file__).with_name("hostile.py"))


def problem(reference: str | None = "42", verifier: str = "hostile", key: str = "k") -> Problem:
    return Problem(key, "test", ({"role": "user", "content": "?"},), reference, verifier)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(processes=2, deadline_s=1.0, modules=[HOSTILE]) as pool:
        yield pool


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hang", "gave no answer within 1 s and was stopped"),
        ("hang-holding-the-lock", "gave no answer within 1 s and was stopped"),
        ("exit", "ended its process (exit status 7)"),
        ("segfault", "ended its process (SIGSEGV)"),
        ("sys-exit", "raised SystemExit: 3"),
        ("raise", "raised RuntimeError: no ? luck"),
        ("recurse", "raised RecursionError: maximum recursion depth exceeded"),
        ("nan", "returned nan, which is not between 0 and 1"),
        ("two", "returned 2, which is not between 0 and 1"),
        ("text", "returned a str, which is no number"),
        ("nothing", "returned a NoneType, which is no number"),
        ("read", "raised EOFError: EOF when reading a line"),
    ],
)
def test_a_verifier_that_fails_costs_its_own_attempt_and_says_why(pool: VerifierPool, text: str, reason: str):
    texts = [f"fine {i}" for i in range(40)]
    texts.insert(17, text)
    verdicts = pool.judge([(problem(), t) for t in texts])
    bad = verdicts.pop(17)
    assert (bad.score, bad.failed, bad.verifier) == (0.0, True, "hostile")
    assert bad.reason.startswith(f"The verifier 'hostile' {reason}")
    assert [(v.score, v.failed) for v in verdicts] == [(1.0, False)] * 40


def test_many_failures_in_one_call_each_cost_one_attempt(pool: VerifierPool):
    texts = [("exit %d", "raise %d", "fine %d", "nan %d")[i % 4] % i for i in range(24)]
    verdicts = pool.judge([(problem(), t) for t in texts])
    assert [v.failed for v in verdicts] == [i % 4 != 2 for i in range(24)]


def test_numpy_scores_and_booleans_are_numbers(pool: VerifierPool):
    assert [v.score for v in pool.judge([(problem(), "half"), (problem(), "true")])] == [0.5, 1.0]


def test_verdicts_keep_the_order_of_the_pairs_and_equal_pairs_are_judged_once(pool: VerifierPool, tmp_path: Path):
    calls = tmp_path / "calls"
    pairs = [(problem(), f"count {calls}") if i % 3 else (problem(str(i), "exact"), str(i + i % 2)) for i in range(99)]
    verdicts = pool.judge(pairs)
    assert calls.read_text() == "x"
    assert [v.right for v in verdicts] == [True if i % 3 else i % 2 == 0 for i in range(99)]


def test_equal_keys_with_other_references_are_not_equal_pairs(pool: VerifierPool):
    verdicts = pool.judge([(problem("1", "exact"), "1"), (problem("2", "exact"), "1")])
    assert [v.score for v in verdicts] == [1.0, 0.0]


def test_hostile_text_is_judged_like_any_other(pool: VerifierPool):
    texts = ["x" * 10_000_000, "\ud800\udfff", "\x00\x00", "", "1" * 1_000_000, "\u202e42", "score 1.0", "4\u06f2"]
    for verifier in ("exact", "number"):
        verdicts = pool.judge([(problem(verifier=verifier), t) for t in [*texts, "42"]])
        assert [v.score for v in verdicts] == [0.0] * len(texts) + [1.0]
        assert not any(v.failed for v in verdicts)


def test_verifiers_run_on_the_main_thread_and_without_torch(pool: VerifierPool):
    assert [v.score for v in pool.judge([(problem(), "main-thread"), (problem(), "torch")])] == [1.0, 0.0]


def test_what_a_hanging_verifier_started_dies_with_it(pool: VerifierPool, tmp_path: Path):
    note = tmp_path / "pid"
    assert pool.judge([(problem(), f"child {note}")])[0].failed
    assert gone(int(note.read_text()), within_s=5)


def test_an_unknown_verifier_is_an_error_and_the_pool_goes_on(pool: VerifierPool):
    with pytest.raises(UnknownNameError, match="no verifier 'exakt'; did you mean exact"):
        pool.judge([(problem(verifier="exakt"), "1")] + [(problem(), f"fine {i}") for i in range(99)])
    assert pool.judge([(problem(), "fine")])[0].right


def test_progress_counts_different_pairs(pool: VerifierPool):
    seen: list[tuple[str, int, int]] = []
    pool.judge([(problem(), f"fine {i % 50}") for i in range(100)], lambda *step: seen.append(step))
    assert seen[-1] == ("judge", 50, 50)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_nothing_to_judge_is_no_verdicts(pool: VerifierPool):
    assert pool.judge([]) == []


def test_a_module_that_cannot_be_imported_is_a_sentence():
    with (
        VerifierPool(processes=1, modules=["no_such_module_here"]) as pool,
        pytest.raises(SettingsError, match="'no_such_module_here' cannot be imported"),
    ):
        pool.judge([(problem(verifier="exact"), "1")])


def test_workers_that_die_while_importing_are_an_error_not_a_wait_for_ever(tmp_path: Path):
    (tmp_path / "dies.py").write_text("import os\nos._exit(9)\n")
    with (
        VerifierPool(processes=1, modules=[str(tmp_path / "dies.py")]) as pool,
        pytest.raises(ExternalError, match="ended before they judged anything \\(exit status 9\\)"),
    ):
        pool.judge([(problem(verifier="exact"), "1")])


PARENT = """
import sys
from loopwise.types import Problem
from loopwise.verify.pool import VerifierPool
pool = VerifierPool(processes=3, deadline_s=2.0, modules=[sys.argv[1]])
p = Problem("k", "t", (), None, "hostile")
pids = set()
while len(pids) < 3:
    pids |= {v.reason.split()[-1].rstrip(".") for v in pool.judge([(p, f"pid {i} {len(pids)}") for i in range(300)])}
print(*pids, flush=True)
pool.judge([(p, f"hang {sys.argv[2]}"), (p, f"hang-holding-the-lock {sys.argv[3]}")])
"""


def test_workers_die_with_a_parent_that_is_killed_even_in_a_hanging_verifier(tmp_path: Path):
    begun = [tmp_path / "hang", tmp_path / "lock"]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, HOSTILE, *begun], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert not any(gone(pid) for pid in pids)
    assert wait_until(lambda: all(file.exists() for file in begun), within_s=10)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    # The one that holds the interpreter's lock dies by its limit of CPU time, 2 + 1 s; the others at once.
    assert all(gone(pid, within_s=30) for pid in pids)


def wait_until(happened: Callable[[], bool], within_s: float) -> bool:
    """Polls, as there is no event to await in a process that is no child of ours."""
    end = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int, within_s: float = 0.0) -> bool:
    """Whether the process has ended (a zombie has), or ends in time."""

    def ended() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    return wait_until(ended, within_s)
