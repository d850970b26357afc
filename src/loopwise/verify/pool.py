"""Runs verifiers in processes that can be killed. The only place where a verifier's failure becomes a verdict."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from types import TracebackType

from loopwise.errors import ExternalError
from loopwise.types import Problem, Progress, Verdict
from loopwise.verify.process import Job, WorkerProcess, start
from loopwise.verify.wire import Outcomes, Raised, Ready, Refused

START_LIMIT_S = 120.0  # for imports, at the start and between attempts
MOST_UNEXPLAINED_DEATHS = 3  # in a row, of workers that were judging nothing
LARGEST_BATCH = 256  # attempts
LARGEST_BATCH_CHARACTERS = 4_000_000
BATCH_S = 0.05  # a batch should take about this long: short enough to share the work, long enough to hide the messages


class VerifierPool:
    """Worker processes, started in the background at once; ``judge`` waits for them. One ``judge`` at a time.

    ``deadline_s`` is wall-clock seconds for one attempt; ``modules`` register more verifiers: see ``table``.
    """

    def __init__(self, processes: int = 2, deadline_s: float = 5.0, modules: Sequence[str] = ()):
        self._deadline_s = deadline_s
        self._modules = tuple(modules)
        self._batch_n = 16
        self._unexplained_deaths = 0
        self._workers = [self._start() for _ in range(processes)]

    def __enter__(self) -> VerifierPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers. The pool judges no more."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def judge(self, pairs: Sequence[tuple[Problem, str]], progress: Progress | None = None) -> list[Verdict]:
        """One verdict for each problem and attempt text, in order; equal pairs are judged once.

        A verifier that raises, hangs, crashes or answers no number in [0, 1] costs its own attempt only: score 0,
        ``failed``, and the reason. Raises UnknownNameError for a verifier that does not exist, SettingsError for a
        module that cannot be imported, and ExternalError when workers die for reasons of their own.
        """
        jobs, place_of = _distinct(pairs)
        verdicts: list[Verdict | None] = [None] * len(jobs)
        waiting = deque(jobs)
        done = 0
        try:
            while done < len(jobs):
                self._feed(waiting)
                for place, verdict in self._collect(waiting):
                    verdicts[place] = verdict
                    done += 1
                if progress is not None:
                    progress("judge", done, len(jobs))
        finally:
            self._restart_busy()
        return [verdict for place in place_of if (verdict := verdicts[place]) is not None]

    def is_right(self, problem: Problem, text: str) -> bool:
        """Whether one attempt gets full marks; for a few attempts that come one at a time. Raises as ``judge`` does."""
        return self.judge([(problem, text)])[0].right

    def _start(self) -> WorkerProcess:
        return start(self._modules, self._deadline_s)

    def _feed(self, waiting: deque[Job]) -> None:
        for i, worker in enumerate(self._workers):
            if not worker.idle or not waiting:
                continue
            jobs = self._next_batch(waiting)
            try:
                worker.give(jobs)
            except OSError:
                waiting.extendleft(reversed(jobs))
                self._count_unexplained(worker.kill())
                self._workers[i] = self._start()

    def _next_batch(self, waiting: deque[Job]) -> list[Job]:
        jobs: list[Job] = []
        characters = 0
        fair_n = -(-len(waiting) // len(self._workers))  # the last jobs are shared, too
        while waiting and len(jobs) < min(self._batch_n, fair_n) and characters < LARGEST_BATCH_CHARACTERS:
            job = waiting.popleft()
            jobs.append(job)
            characters += len(job[2])
        return jobs

    def _collect(self, waiting: deque[Job]) -> list[tuple[int, Verdict]]:
        """Waits until a worker answers, dies or is late, and returns what is known since; unjudged jobs go back."""
        answered = wait([worker.connection for worker in self._workers], timeout=self._time_left())
        found: list[tuple[int, Verdict]] = []
        for i, worker in enumerate(self._workers):
            dead = worker.connection in answered and not self._receive(worker, found)
            if dead or self._late(worker):
                found += self._bury(worker, waiting, late=not dead)
                self._workers[i] = self._start()
        return found

    def _receive(self, worker: WorkerProcess, found: list[tuple[int, Verdict]]) -> bool:
        """Takes one message; False when the worker has died."""
        try:
            message: Ready | Refused | Outcomes = worker.connection.recv()
        except (EOFError, OSError):
            return False
        match message:
            case Ready():
                worker.ready = True
            case Refused(error):
                raise error
            case Outcomes(outcomes):
                self._unexplained_deaths = 0
                jobs, worker.jobs = worker.jobs[: len(outcomes)], worker.jobs[len(outcomes) :]
                found += [(p, _verdict(problem, o)) for (p, problem, _), o in zip(jobs, outcomes, strict=True)]
                if not worker.jobs:
                    self._adapt(worker)
        return True

    def _adapt(self, worker: WorkerProcess) -> None:
        took_s = time.monotonic() - worker.since
        if took_s < BATCH_S / 2 and worker.batch_size == self._batch_n:
            self._batch_n = min(2 * self._batch_n, LARGEST_BATCH)
        elif took_s > 2 * BATCH_S:
            self._batch_n = max(self._batch_n // 2, 1)

    def _time_left(self) -> float:
        """Seconds until the first worker can be late."""
        left_s = [START_LIMIT_S]
        for worker in self._workers:
            if worker.jobs:
                left_s.append(self._deadline_s - worker.current()[1])
        return max(0.001, min(left_s))

    def _late(self, worker: WorkerProcess) -> bool:
        job, since_s = worker.current()
        if job is not None:
            return since_s > self._deadline_s
        loading = bool(worker.jobs) or not worker.ready
        return loading and time.monotonic() - worker.since > START_LIMIT_S + self._deadline_s * worker.batch_size

    def _bury(self, worker: WorkerProcess, waiting: deque[Job], late: bool) -> list[tuple[int, Verdict]]:
        """Ends a dead or late worker: its current attempt gets a failed verdict, the rest of its batch goes back."""
        suspect, _ = worker.current()
        status = worker.end()
        found: list[tuple[int, Verdict]] = []
        while worker.connection.poll() and self._receive(worker, found):
            pass  # what it had sent before it ended counts
        job, _ = worker.current()
        worker.release()
        if suspect is None:
            self._count_unexplained(status)
        if job is not None and job is suspect:  # a late one may have finished in the last moment
            worker.jobs.remove(job)
            how = f"gave no answer within {self._deadline_s:g} s and was stopped"
            reason = how if late else f"ended its process ({_status(status)})"
            found.append((job[0], _failed(job[1], reason)))
        waiting.extendleft(reversed(worker.jobs))
        return found

    def _count_unexplained(self, status: int) -> None:
        self._unexplained_deaths += 1
        if self._unexplained_deaths >= MOST_UNEXPLAINED_DEATHS:
            raise ExternalError(
                f"{MOST_UNEXPLAINED_DEATHS} verifier processes in a row ended before they judged anything "
                f"({_status(status)}); check memory, and that the modules in [verify] import in a new Python."
            )

    def _restart_busy(self) -> None:
        """After an error or an interrupt, late answers must not reach the next ``judge``."""
        for i, worker in enumerate(self._workers):
            if worker.jobs or worker.popen.poll() is not None:
                worker.kill()
                self._workers[i] = self._start()


def _distinct(pairs: Sequence[tuple[Problem, str]]) -> tuple[list[Job], list[int]]:
    """The different pairs, and for each pair the place of its equal among them."""
    places: dict[tuple[str, str | None, str, str], int] = {}
    jobs: list[Job] = []
    place_of: list[int] = []
    for problem, text in pairs:
        identity = (problem.key, problem.reference, problem.verifier, text)
        place = places.setdefault(identity, len(jobs))
        if place == len(jobs):
            jobs.append((place, problem, text))
        place_of.append(place)
    return jobs, place_of


def _verdict(problem: Problem, outcome: float | Raised) -> Verdict:
    if isinstance(outcome, Raised):
        return _failed(problem, outcome.reason)
    if not 0.0 <= outcome <= 1.0:  # also when it is not a number
        return _failed(problem, f"returned {outcome:g}, which is not between 0 and 1")
    return Verdict(outcome, f"score {outcome:g}", problem.verifier)


def _failed(problem: Problem, reason: str) -> Verdict:
    return Verdict(0.0, f"The verifier {problem.verifier!r} {reason}.", problem.verifier, failed=True)


def _status(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
