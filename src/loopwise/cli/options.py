"""The options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Dir = Annotated[Path, typer.Option("--dir", help="The project folder, with loopwise.toml.", show_default="this folder")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
HERE = Path()
