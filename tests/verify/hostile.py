"""Verifiers that misbehave, for the pool's tests. They act on the attempt's text, else they answer 1.0."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from loopwise.types import Problem
from loopwise.verify.table import verifier


def touch(path: str) -> None:
    if path.startswith("/"):
        Path(path).touch()


@verifier("hostile")
def hostile(problem: Problem, attempt_text: str) -> float:
    what, _, path = attempt_text.partition(" ")
    match what:
        case "hang":
            touch(path)
            time.sleep(3600)
        case "hang-holding-the-lock":
            touch(path)
            re.match(r"(a+)+b", "a" * 64)
        case "exit":
            os._exit(7)
        case "segfault":
            ctypes.string_at(0)
        case "sys-exit":
            sys.exit(3)
        case "raise":
            raise RuntimeError("no \ud800 luck")
        case "recurse":
            hostile(problem, attempt_text)
        case "nan":
            return float("nan")
        case "two":
            return 2.0
        case "text":
            return "1.0"  # type: ignore[return-value]
        case "nothing":
            return None  # type: ignore[return-value]
        case "half":
            return np.float32(0.5)  # type: ignore[return-value]
        case "true":
            return True
        case "child":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
            Path(path).write_text(str(child.pid))
            time.sleep(3600)
        case "read":
            return float(input() == "never")
        case "main-thread":
            assert threading.current_thread() is threading.main_thread()
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
        case "torch":
            return float("torch" in sys.modules)
        case "pid":
            raise RuntimeError(f"pid {os.getpid()}")
        case "count":
            with open(path, "a") as calls:
                calls.write("x")
        case _:
            pass
    return 1.0
