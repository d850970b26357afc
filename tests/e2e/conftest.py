"""Small real projects: the embedded model, real processes, real HTTP; only the sizes are cut down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import Done, here, in_process
from loopwise.cli.init import created
from loopwise.cli.templates import embedded_toml
from loopwise.compute.services import free_port

SMALL = {
    "problems = 5000": "problems = 300",
    "attempts = 8": "attempts = 4",
    "examples = 32000": "examples = 3000",
    "n = 1500": "n = 300",
    "every_feedback = 500": "every_feedback = 100000",
}


def small_toml(approve: str = "auto", changes: dict[str, str] | None = None) -> str:
    """Settings of a project whose turn takes seconds."""
    text = embedded_toml((free_port(), free_port()), approve, seed=1)
    for old, new in {**SMALL, **(changes or {})}.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def make_project(directory: Path, toml: str) -> Path:
    with created(directory, toml) as project:
        return project.dir


def loopwise(*args: str, check: bool = True) -> Done:
    """The command: one that works for long in a process of its own, one that asks or switches something in this."""
    done = (in_process if args[0] in ("turn", "demo", "up") else here)(*args)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def loopwise_json(*args: str) -> Any:
    return json.loads(loopwise(*args, "--json").stdout)


@pytest.fixture
def serving() -> Iterator[Callable[[Path], str]]:
    """Starts ``loopwise up`` for a project and gives the gateway's address; everything is stopped at the end."""
    from loopwise import config
    from loopwise.compute.services import Service

    services: list[Service] = []

    def start(directory: Path) -> str:
        url = f"http://127.0.0.1:{config.load(directory).gateway.port}"
        service = Service("loopwise up", ["up", "--dir", str(directory)], directory / "logs" / "up.log")
        services.append(service)
        service.wait_ready(f"{url}/readyz")
        return url

    yield start
    for service in services:
        service.stop()
