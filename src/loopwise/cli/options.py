"""The options that every command takes, and who gives it."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

Dir = Annotated[Path, typer.Option("--dir", help="The project folder, with loopwise.toml.", show_default="this folder")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
HERE = Path()


def who() -> str:
    """Whose decision a command records."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return f"uid {os.getuid()}"
