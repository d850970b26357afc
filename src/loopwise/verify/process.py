"""One worker process as the pool sees it: started, fed a batch, read from, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from loopwise.types import Problem
from loopwise.verify.wire import IDLE, STATE_BYTES, Setup, SharedState

Job = tuple[int, Problem, str]  # place in the pool's list, and what is judged


@dataclass
class WorkerProcess:
    """A worker with its connection and what it has been given and not yet answered."""

    popen: subprocess.Popen[bytes]
    connection: Connection
    state: SharedState
    ready: bool = False
    since: float = field(default_factory=time.monotonic)  # of the start, or of the last batch
    batch_size: int = 0
    jobs: list[Job] = field(default_factory=list[Job])  # of the batch, not yet answered

    @property
    def idle(self) -> bool:
        return self.ready and not self.jobs

    def give(self, jobs: list[Job]) -> None:
        """Sends a batch. Raises OSError when the worker has died."""
        self.jobs, self.batch_size, self.since = jobs, len(jobs), time.monotonic()
        self.connection.send([(problem, text) for _, problem, text in jobs])

    def current(self) -> tuple[Job | None, float]:
        """The attempt that it is at (None between attempts) and for how many seconds."""
        index, started = self.state.read()
        answered = self.batch_size - len(self.jobs)
        if index == IDLE or not answered <= index < self.batch_size:
            return None, 0.0
        return self.jobs[index - answered], time.monotonic() - started

    def end(self) -> int:
        """Kills the worker and whatever it started; returns the exit status, negative for a signal.

        What it had sent and the attempt it was at can still be read, until ``release``.
        """
        with suppress(ProcessLookupError, PermissionError):  # the group is gone, or only a zombie is left of it
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait()

    def kill(self) -> int:
        """``end`` and ``release``."""
        status = self.end()
        self.release()
        return status

    def release(self) -> None:
        """Closes what connects to the worker."""
        self.connection.close()
        self.state.close()
        if self.popen.stdin is not None:
            self.popen.stdin.close()


def start(modules: Sequence[str], deadline_s: float) -> WorkerProcess:
    """Starts a worker and returns at once; it says Ready when its imports are done.

    A new interpreter rather than ``multiprocessing``'s spawn, which would import the caller's main module again.
    """
    ours, theirs = Pipe()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p or os.getcwd() for p in sys.path), OMP_NUM_THREADS="1")
    with tempfile.TemporaryFile() as memory, theirs:
        memory.truncate(STATE_BYTES)
        state = SharedState(memory.fileno())
        state.rest()
        popen = subprocess.Popen(
            [sys.executable, "-m", "loopwise.verify.worker", str(theirs.fileno()), str(memory.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno(), memory.fileno()],
            env=environment,
            start_new_session=True,  # its own group, so that what a verifier starts dies with it
        )
    ours.send(Setup(tuple(modules), deadline_s))
    return WorkerProcess(popen, ours, state)
