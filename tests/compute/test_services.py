"""Child processes: readiness is waited for, and a child never outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from loopwise.compute.services import Service, answers, free_port
from loopwise.errors import ExternalError


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def _wait(condition, timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_child_that_ends_while_it_starts_is_reported_with_its_last_line(tmp_path: Path):
    service = Service("gateway", ["up", "--only", "gateway", "--dir", str(tmp_path)], tmp_path / "log")
    with pytest.raises(ExternalError, match=r"There is no loopwise.toml in"):
        service.wait_ready(f"http://127.0.0.1:{free_port()}/healthz")
    service.stop()


def test_a_silent_port_does_not_answer():
    assert not answers(f"http://127.0.0.1:{free_port()}/healthz")


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path):
    program = textwrap.dedent(f"""
        import subprocess, sys, time
        from loopwise.compute.parent import SUPERVISED
        import os
        child = subprocess.Popen(
            [sys.executable, "-c",
             "from loopwise.compute.parent import exit_with_parent; exit_with_parent(); import time; time.sleep(600)"],
            stdin=subprocess.PIPE, env={{**os.environ, SUPERVISED: "1"}})
        open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
        time.sleep(600)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program])
    pid_file = tmp_path / "pid"
    assert _wait(lambda: pid_file.exists() and pid_file.read_text() != "")
    child = int(pid_file.read_text())
    assert not _gone(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _wait(lambda: _gone(child))
