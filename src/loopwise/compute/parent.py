"""A child that ends with its parent, however the parent ends: the pipe on its standard input closes."""

from __future__ import annotations

import os
import sys
import threading

SUPERVISED = "LOOPWISE_SUPERVISED"  # set by the supervisor in a child's environment


def exit_with_parent() -> None:
    """In a supervised child, exits at once when the parent is gone. Does nothing in a process started by hand."""
    if os.environ.get(SUPERVISED) == "1":
        threading.Thread(target=_wait_for_end, name="loopwise-parent", daemon=True).start()


def _wait_for_end() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
