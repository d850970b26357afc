"""``loopwise doctor``: checks what usually goes wrong, and says what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import typer

from loopwise import __version__, config
from loopwise.cli.options import HERE, Dir, Json
from loopwise.cli.output import emit, table
from loopwise.cli.project import Project, api_key, opened
from loopwise.errors import LoopwiseError, missing_extra

_LOOP_PACKAGES = ("torch", "transformers", "trl", "peft", "reasoning_gym", "pyarrow", "matplotlib")
_MIN_FREE_BYTES = 1 << 30
_MIN_MEMORY_BYTES = 2 << 30


def doctor(dir: Dir = HERE, json: Json = False) -> None:
    """Checks settings, store, engine, memory and versions. Example: loopwise doctor --dir my-project"""
    checks = [_checked(name, check, dir) for name, check in _CHECKS.items()]
    rows = [(name, "ok" if ok else "PROBLEM", message) for name, ok, message in checks]
    document = {"checks": [{"name": name, "ok": ok, "message": message} for name, ok, message in checks]}
    emit(document, json, table(["check", "result", "what was found"], rows))
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(1)


def _checked(name: str, check: Callable[[Path], str], directory: Path) -> tuple[str, bool, str]:
    try:
        return name, True, check(directory)
    except LoopwiseError as error:
        return name, False, str(error)


def _versions(_: Path) -> str:
    missing = [name for name in _LOOP_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_extra(missing[0])
    return (
        f"loopwise {__version__}, torch {importlib.metadata.version('torch')}, trl {importlib.metadata.version('trl')}"
    )


def _settings(directory: Path) -> str:
    settings = config.load(directory)
    return f"{settings.dir / config.FILE_NAME} is valid"


def _store(directory: Path) -> str:
    with opened(directory) as project:
        return f"{project.store.shown_url} opens; champion {project.champion().name}"


def _access(directory: Path) -> str:
    """Who may call the gateway."""
    from loopwise.gateway.server import refuse_unkeyed
    from loopwise.store import keys

    with opened(directory) as project, project.store.reading() as conn:
        found = keys.all_keys(conn)
        host = project.settings.gateway.host
        refuse_unkeyed(host, keys.may_serve_others(conn))
    usable = sum(key.revoked is None for key in found)
    if not found:
        return f"[gateway] host = {host!r} serves this machine only; there are no API keys"
    return f"[gateway] host = {host!r}; every caller needs one of {usable} API keys ({len(found) - usable} are revoked)"


def _suites(directory: Path) -> str:
    with opened(directory) as project:
        return ", ".join(f"{suite.name}: {len(suite.problems)}" for suite in project.suites()) or "none"


def _weights(directory: Path) -> str:
    with opened(directory) as project:
        return _same_weights(project)


def _same_weights(project: Project) -> str:
    champion = project.champion()
    if project.settings.engine.kind == "openai":
        return f"{champion.name} is served elsewhere ({champion.fingerprint})"
    from loopwise.engine.embedded.weights import fingerprint

    found = fingerprint(project.dir / champion.path)
    if found != champion.fingerprint:
        raise LoopwiseError(
            f"The weights in {project.dir / champion.path} are {found}, not {champion.fingerprint} as recorded: "
            "restore the folder from a backup, or run 'loopwise rollback'."
        )
    return f"{champion.name} on disk is {found[:19]}…, as recorded"


def _engine(directory: Path) -> str:
    from loopwise.compute.services import answers
    from loopwise.engine.openai import OpenAIEngine

    with opened(directory) as project:
        settings = project.settings.engine
        url = settings.url or f"http://127.0.0.1:{settings.port}"
        if settings.kind == "embedded" and not answers(f"{url}/healthz"):
            return f"not running at {url}; 'loopwise up' starts it, and a turn starts its own"
        claimed = OpenAIEngine(url, api_key(project.settings.engine)).fingerprint(project.champion().name)
    return f"{url} answers with {claimed[:19]}…"


def _space(directory: Path) -> str:
    free = shutil.disk_usage(directory if directory.exists() else Path()).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    text = f"{free / 2**30:.1f} GiB of disk and {memory / 2**30:.1f} GiB of memory are free"
    if free < _MIN_FREE_BYTES or memory < _MIN_MEMORY_BYTES:
        raise LoopwiseError(f"Only {text}: a turn of the embedded model wants 1 GiB of disk and 2 GiB of memory.")
    return text


_CHECKS: dict[str, Callable[[Path], str]] = {
    "versions": _versions,
    "space": _space,
    "settings": _settings,
    "store": _store,
    "access": _access,
    "suites": _suites,
    "weights": _weights,
    "engine": _engine,
}
