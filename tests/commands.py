"""``loopwise`` as people type it: in a process of its own, or in this one, where it need not import it all again."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from loopwise.cli.main import main

Done = subprocess.CompletedProcess[str]


def in_process(*args: str, cwd: Path | None = None) -> Done:
    """The command in a new process, from the interpreter on."""
    command = [sys.executable, "-m", "loopwise.cli.main", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def here(*args: str, cwd: Path | None = None) -> Done:
    """The command in this process. What it starts or samples with is as real; only the interpreter is not a new one,
    so commands that set up a process for themselves (``up``, ``turn``) have no place here."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
        pytest.raises(SystemExit) as ended,
    ):
        main(args)
    status = ended.value.code or 0
    assert isinstance(status, int), status
    return Done(list(args), status, out.getvalue(), err.getvalue())
