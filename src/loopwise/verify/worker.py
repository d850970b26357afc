"""The process that runs verifiers, on its main thread (math-verify uses SIGALRM), started by ``process.start``.

It reports what happened as data; ``pool`` alone makes verdicts of it. Started as ``python -m loopwise.verify.worker
CONNECTION_FD STATE_FD``; its standard input is a lifeline that ends when the parent dies, however it dies.
"""

from __future__ import annotations

import importlib
import numbers
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from loopwise.errors import LoopwiseError
from loopwise.types import Problem, Verifier
from loopwise.verify import table
from loopwise.verify.wire import Batch, Outcomes, Raised, Ready, Refused, Setup, SharedState

FLUSH_AFTER_S = 0.05  # what is judged is sent at least this often, so that a crash loses little
LONGEST_REASON = 500  # characters


def _judge_one(verify: Verifier, problem: Problem, text: str) -> float | Raised:
    try:
        score: object = verify(problem, text)
        if isinstance(score, numbers.Real):
            return float(score)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - data here, a verdict in pool
        reason = str(error)[:LONGEST_REASON].encode("utf-8", "replace").decode()
        return Raised(f"raised {type(error).__name__}: {reason}")
    return Raised(f"returned a {type(score).__name__}, which is no number")


def _judge_batch(batch: Batch, connection: Connection, state: SharedState, deadline_s: float) -> None:
    verifiers = {name: table.resolve(name) for name in {problem.verifier for problem, _ in batch}}
    outcomes: list[float | Raised] = []
    flushed = time.monotonic()
    for index, (problem, text) in enumerate(batch):
        # A verifier that holds the interpreter's lock for ever would outlive a parent that dies; the kernel ends it.
        signal.setitimer(signal.ITIMER_PROF, deadline_s + 1)
        state.start(index)
        outcomes.append(_judge_one(verifiers[problem.verifier], problem, text))
        if time.monotonic() - flushed > FLUSH_AFTER_S:
            state.rest()
            connection.send(Outcomes(outcomes))
            outcomes = []
            flushed = time.monotonic()
    state.rest()
    signal.setitimer(signal.ITIMER_PROF, 0)
    if outcomes:
        connection.send(Outcomes(outcomes))


def _end_with_parent(lifeline_fd: int) -> None:
    os.read(lifeline_fd, 1)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _take_lifeline() -> None:
    """Moves the lifeline away from standard input, which verifiers may read."""
    lifeline_fd = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline_fd,), daemon=True).start()


def _serve(connection: Connection, state: SharedState) -> None:
    setup: Setup = connection.recv()
    try:
        table.load_modules(setup.modules)
        with suppress(ModuleNotFoundError):  # of an extra; resolve() says so when a problem needs it
            importlib.import_module("reasoning_gym")
        connection.send(Ready())
        while True:
            _judge_batch(connection.recv(), connection, state, setup.deadline_s)
    except LoopwiseError as error:
        connection.send(Refused(error))


def main() -> None:
    """Loads, says so, and judges batches until the connection ends."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _take_lifeline()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _serve(Connection(int(sys.argv[1])), SharedState(int(sys.argv[2])))


if __name__ == "__main__":
    main()
