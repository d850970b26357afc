"""A child that ends with its parent, however the parent ends: the pipe on its standard input closes."""

from __future__ import annotations

import os
import threading

SUPERVISED = "LOOPWISE_SUPERVISED"  # set by the supervisor in a child's environment


def exit_with_parent() -> None:
    """In a supervised child, exits at once when the parent is gone. Does nothing in a process started by hand."""
    if os.environ.get(SUPERVISED) == "1":
        threading.Thread(target=_wait_for_end, name="loopwise-parent", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1_024):  # not sys.stdin: its lock, held by a daemon thread, breaks the interpreter's exit
        pass
    os._exit(0)
