"""Child processes that serve HTTP on loopback: start, wait until they answer, stop."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from loopwise.compute.parent import SUPERVISED
from loopwise.errors import ExternalError

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0


class Service:
    """``python -m loopwise.cli.main ARGS`` as a supervised child whose output goes to ``log``."""

    def __init__(self, name: str, args: Sequence[str], log: Path):
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "loopwise.cli.main", *args],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, SUPERVISED: "1"},
            )

    def wait_ready(self, url: str, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Returns when ``url`` answers 200. Raises ExternalError when the process ends or stays silent."""
        deadline = time.monotonic() + timeout_s
        while not answers(url):
            if self.process.poll() is not None:
                raise ExternalError(f"The {self.name} ended while it started: {self._last_line()} (log: {self.log})")
            if time.monotonic() > deadline:
                self.stop()
                raise ExternalError(f"The {self.name} did not answer at {url} within {timeout_s:g} s; see {self.log}.")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def answers(url: str) -> bool:
    """Whether ``url`` answers 200 within a second."""
    try:
        with urlopen(url, timeout=1.0) as response:
            return response.status == 200
    except (URLError, OSError, http.client.HTTPException):
        return False


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
