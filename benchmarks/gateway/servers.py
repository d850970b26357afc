"""Starts what is measured, each in processes of its own, and leaves nothing running: upstream, bare proxy, gateway,
LiteLLM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.load import supervised

from loopwise.cli.init import created
from loopwise.cli.templates import openai_toml
from loopwise.compute.services import answers, free_port

START_S = 180.0  # LiteLLM imports for a long while
STOP_S = 15.0
LITELLM_CONFIG = """\
model_list:
  - model_name: loopwise
    litellm_params:
      model: openai/m
      api_base: {url}
      api_key: none
general_settings:
  dangerously_permit_weak_or_unset_master_key: true
"""


@dataclass(frozen=True)
class Server:
    """Something that answers on a port of this machine."""

    port: int
    pid: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def started(command: Sequence[str], port: int, ready: str, log: Path) -> Generator[Server]:
    """Runs ``command`` until the block ends, then stops it with all its children. Raises RuntimeError where it does not
    come up, with the last line that it wrote to ``log``."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=supervised(), start_new_session=True
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_S
            while not answers(f"http://127.0.0.1:{port}{ready}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
                    raise RuntimeError(f"{' '.join(command[:4])} did not come up: {last[0]}")
                time.sleep(0.05)
            yield Server(port, process.pid)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the process's whole group: politely, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


def upstream(folder: Path) -> AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.gateway.upstream", str(port)]
    return started(command, port, "/v1/models", folder / "upstream.log")


def bare(folder: Path, behind: Server) -> AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.gateway.bare", str(port), behind.api, str(folder / "bare.db")]
    return started(command, port, "/healthz", folder / "bare.log")


def make_project(folder: Path, behind: Server) -> Path:
    """A project in front of the upstream, as ``loopwise init --url --model`` makes it."""
    toml = openai_toml(behind.api, "m", None).replace("port = 4040", f"port = {free_port()}")
    with created(folder, toml) as project:
        return project.dir


@contextmanager
def loopwise(project: Path) -> Generator[Server]:
    """The gateway as it is run for real, at its defaults."""
    from loopwise import config

    port = config.load(project).gateway.port
    command = [sys.executable, "-m", "loopwise.cli.main", "up", "--only", "gateway", "--dir", str(project)]
    with started(command, port, "/readyz", project / "gateway.log") as server:
        yield server


@contextmanager
def litellm(folder: Path, home: Path, behind: Server) -> Generator[Server]:
    """LiteLLM's proxy at its defaults, recording nothing. Without keys, which it must be told, as all others are."""
    port = free_port()
    (folder / "litellm.yaml").write_text(LITELLM_CONFIG.format(url=behind.api))
    command = [str(home / "bin" / "litellm"), "--config", str(folder / "litellm.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with started(command, port, "/health/liveliness", folder / "litellm.log") as server:
        yield server


def install_litellm(home: Path) -> str | None:
    """Installs LiteLLM's proxy into a virtual environment of its own, once. A sentence where that does not work."""
    if (home / "bin" / "litellm").exists():
        return None
    home.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "litellm[proxy]"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            return f"LiteLLM could not be installed into {home} and is left out: {last[0]}"
    return None


def litellm_version(home: Path) -> str:
    asked = "from importlib.metadata import version; print(version('litellm'))"
    done = subprocess.run([str(home / "bin" / "python"), "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def all_paths(folder: Path, home: Path | None) -> Generator[dict[str, Server]]:
    """Every way to the answer, by name; LiteLLM where ``home`` has it."""
    with ExitStack() as stack:
        direct = stack.enter_context(upstream(folder))
        paths = {"direct": direct, "bare": stack.enter_context(bare(folder, direct))}
        paths["loopwise"] = stack.enter_context(loopwise(make_project(folder / "project", direct)))
        if home:
            paths["litellm"] = stack.enter_context(litellm(folder, home, direct))
        yield paths
