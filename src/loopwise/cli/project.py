"""Opens a project: settings, then store, then suites; and puts together what a turn needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopwise import config
from loopwise.errors import ExternalError, SettingsError, UnknownNameError
from loopwise.store import Store, releases
from loopwise.store.database import LOCK_TIMEOUT_S
from loopwise.types import Release, Suite

if TYPE_CHECKING:
    from loopwise.engine.openai import OpenAIEngine
    from loopwise.verify.pool import VerifierPool


@dataclass(frozen=True)
class Project:
    """An open project."""

    settings: config.Settings
    store: Store

    @property
    def dir(self) -> Path:
        return self.settings.dir

    def champion(self) -> Release:
        with self.store.reading() as conn:
            return releases.the_champion(conn)

    def release(self, name: str) -> Release:
        """The release called ``name``; ``champion`` means the present one."""
        with self.store.reading() as conn:
            return releases.the_champion(conn) if name == "champion" else releases.by_name(conn, name)

    def suites(self) -> list[Suite]:
        """The suites as they were made at ``init``, in the order of the settings."""
        from loopwise.suites import load

        found: list[Suite] = []
        for name in self.settings.suites:
            path = suite_path(self.dir, name)
            if not path.exists():
                raise SettingsError(f"The suite {name!r} has no file {path}: run 'loopwise init' again to make it.")
            found.append(self._as_set(load(path), path))
        return found

    def _as_set(self, suite: Suite, path: Path) -> Suite:
        """The suite with role and margin of the settings, which must still name the sources that it was made from."""
        wanted = self.settings.suites[suite.name]
        if sorted({problem.source for problem in suite.problems}) != sorted(wanted.sources):
            raise SettingsError(
                f"[suites.{suite.name}] source was changed after {path} had been made from it: set it back, or remove "
                "that file and run 'loopwise init' again for a new version of the suite."
            )
        return replace(suite, role=wanted.role, margin=wanted.margin / 100)

    def suite(self, name: str) -> Suite:
        if name not in self.settings.suites:
            known = ", ".join(self.settings.suites) or "none"
            raise UnknownNameError(f"There is no suite {name!r} here; there are: {known}.")
        return next(suite for suite in self.suites() if suite.name == name)


def suite_path(directory: Path, name: str) -> Path:
    return directory / "suites" / f"{name}.json"


@contextmanager
def opened(directory: Path, lock_timeout_s: float = LOCK_TIMEOUT_S) -> Generator[Project]:
    """The project in ``directory``. Raises SettingsError and StoreError."""
    settings = config.load(directory)
    store = Store(settings.store.url, settings.dir, lock_timeout_s=lock_timeout_s)
    try:
        yield Project(settings, store)
    finally:
        store.close()


@contextmanager
def serving_engine(project: Project) -> Generator[OpenAIEngine]:
    """The engine over HTTP: the running one, or one that is started for as long as it is needed."""
    from loopwise.compute.services import Service, answers, free_port
    from loopwise.engine.openai import OpenAIEngine

    settings = project.settings.engine
    if settings.kind == "openai":
        yield OpenAIEngine(str(settings.url), api_key(settings))
        return
    url = f"http://127.0.0.1:{settings.port}"
    with ExitStack() as stack:
        if not (answers(f"{url}/healthz") and _serves(url, project.champion())):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            args = ["up", "--only", "engine", "--dir", str(project.dir), "--engine-port", str(port)]
            service = Service("engine", args, project.dir / "logs" / "engine.log")
            stack.callback(service.stop)
            service.wait_ready(f"{url}/healthz")
        yield OpenAIEngine(url)


def _serves(url: str, champion: Release) -> bool:
    """Whether the engine at ``url`` is this project's: it gives the champion with the champion's weights."""
    from loopwise.engine.openai import OpenAIEngine
    from loopwise.errors import EngineError

    try:
        return OpenAIEngine(url).fingerprint(champion.name) == champion.fingerprint
    except EngineError:
        return False


def api_key(settings: config.EngineSettings | config.AliasSettings, section: str = "[engine]") -> str | None:
    """The upstream's key, from the variable that the settings name."""
    name = settings.api_key_env
    if name is None:
        return None
    value = os.environ.get(name)
    if value is None:
        raise SettingsError(f"{section} api_key_env names the variable {name!r}, which is not set: export it first.")
    return value


@contextmanager
def verifier_pool() -> Generator[VerifierPool]:
    """Two killable workers: the machine's verifiers are short and the sampler wants the cores."""
    from loopwise.verify.pool import VerifierPool

    with VerifierPool(processes=2) as pool:
        yield pool


def gateway_url(settings: config.GatewaySettings) -> str:
    """Where programs on this machine reach the gateway, also when it listens on every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def refuse_busy_port(host: str, port: int, key: str) -> None:
    """Raises ExternalError when the port is taken, before anything is started."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ExternalError(
                f"{host}:{port} cannot be listened on ({error.strerror}): stop what uses it, or set {key}."
            ) from error
