# pyright: basic
"""The embedded model sampled in worker processes of one thread each: for practice, where throughput counts.

One-thread processes side by side beat one process with several threads: the matrices are too small to share.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from loopwise.engine.embedded.releases import release_folder
from loopwise.errors import EngineError
from loopwise.types import Completion, Message, SamplingParams

SHARD_ROWS = 512  # fixed, so that results do not depend on the number of processes


class LocalEngine:
    """``types.Engine`` over ``models``, a folder that holds one model folder per release. Use as a context manager.

    Calls must not overlap: one thread at a time.
    """

    def __init__(self, models: Path, processes: int = 2):
        self._models = models
        self._workers: dict[Connection, subprocess.Popen[bytes]] = {}
        for _ in range(processes):
            connection, process = _start()
            self._workers[connection] = process

    def sample(
        self, release: str, prompts: Sequence[Sequence[Message]], params: SamplingParams
    ) -> list[list[Completion]]:
        """``params.n`` completions for each prompt, in order; see ``types.Engine``.

        With a seed the result is the same for any number of processes. Raises EngineError.
        """
        folder = release_folder(self._models, release)
        if params.seed is None:
            params = replace(params, seed=secrets.randbits(63))
        per_shard = max(1, SHARD_ROWS // params.n)
        shards = [
            (folder, list(prompts[start : start + per_shard]), params, start)
            for start in range(0, len(prompts), per_shard)
        ]
        return [completions for answer in self._ask(shards) for completions in answer]

    def fingerprint(self, release: str) -> str:
        """``sha256:…`` of the release's tensors as a worker holds them in memory. Raises EngineError."""
        [answer] = self._ask([(release_folder(self._models, release), None, None, 0)])
        return answer

    def close(self) -> None:
        """Ends the workers; closing twice is harmless."""
        for connection in self._workers:
            connection.close()
        for process in self._workers.values():
            process.kill()
            process.wait()
        self._workers.clear()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, shards: list[tuple[Any, ...]]) -> list[Any]:
        """Hands shards to whichever worker is free; answers in the order of the shards."""
        if not self._workers:
            raise EngineError("The local engine is closed: make a new one.")
        answers: list[Any] = [None] * len(shards)
        whole = False
        try:
            self._exchange(shards, answers)
            whole = True
        except (EOFError, ConnectionError) as error:
            codes = [process.poll() for process in self._workers.values()]
            raise EngineError(
                f"A sampling process ended early (exit statuses {codes}; None still ran); was memory short? "
                "The local engine is closed: make a new one."
            ) from error
        finally:
            if not whole:  # answers still under way would be taken for those of the next call
                self.close()
        for answer in answers:
            if isinstance(answer, EngineError):
                raise answer
        return answers

    def _exchange(self, shards: list[tuple[Any, ...]], answers: list[Any]) -> None:
        waiting = list(enumerate(shards))[::-1]
        running = 0
        ready = list(self._workers)
        while waiting or running:
            for connection in ready:
                if waiting:
                    index, shard = waiting.pop()
                    connection.send((index, *shard))
                    running += 1
            ready = [connection for connection in wait(list(self._workers)) if isinstance(connection, Connection)]
            for connection in ready:
                index, answers[index] = connection.recv()
                running -= 1


def _start() -> tuple[Connection, subprocess.Popen[bytes]]:
    ours, theirs = Pipe()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "loopwise.engine.embedded.worker", str(theirs.fileno())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])
    theirs.close()
    return ours, process
