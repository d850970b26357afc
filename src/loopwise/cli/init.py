"""``loopwise init``: a commented loopwise.toml, the store, the first release and the suites."""

from __future__ import annotations

import shutil
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopwise import config
from loopwise.cli.options import Json
from loopwise.cli.output import emit
from loopwise.cli.project import Project, api_key, opened, suite_path
from loopwise.cli.templates import embedded_toml, openai_toml
from loopwise.errors import ExternalError, UsageError
from loopwise.store import Store, releases
from loopwise.tiny import ANCHORS, MODEL
from loopwise.types import Release

if TYPE_CHECKING:
    from loopwise.types import Suite

BASE = "tiny@0"


def init(
    dir: Annotated[Path, typer.Argument(help="The folder of the new project.")] = Path(),
    url: Annotated[str | None, typer.Option(help="Your server's address, if you bring a model.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name on that server.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds that server's key.")] = None,
    base: Annotated[Path | None, typer.Option(help="The Hugging Face folder that is trained.")] = None,
    json: Json = False,
) -> None:
    """Makes a project. Example: loopwise init my-project"""
    if (url is None) != (model is None):
        raise UsageError("--url and --model go together: name the server's address and the model on it.")
    if url is None and (base or api_key_env):
        raise UsageError("--base and --api-key-env go with --url and --model: they are about the model on that server.")
    if url is not None and (dir / config.FILE_NAME).exists():
        raise UsageError(f"{dir / config.FILE_NAME} exists already: edit it, or choose another folder.")
    text = embedded_toml() if url is None or model is None else openai_toml(url, model, base, api_key_env)
    with created(dir, text) as project:
        champion = project.champion()
        found = [{"name": suite.name, "role": suite.role, "n": len(suite.problems)} for suite in project.suites()]
        document = {
            "dir": str(project.dir),
            "store": project.store.shown_url,
            "release": champion.name,
            "proposed": found,
        }
        suites = (
            ", ".join(f"{suite['name']} ({suite['n']})" for suite in found) or "none yet: add them to loopwise.toml"
        )
        emit(
            document,
            json,
            f"Project {project.dir}\n  serves   {champion.name} ({champion.fingerprint[:19]}…)\n  suites   {suites}\n"
            f"Next: loopwise up --dir {project.dir}",
        )


def created(directory: Path, toml: str) -> AbstractContextManager[Project]:
    """Makes the project's files, then opens it. What is there already is kept, so a second run mends a first one that
    was cut short; the settings are written last."""
    path = directory / config.FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / ANCHORS.name).exists():
            shutil.copyfile(ANCHORS, directory / ANCHORS.name)
        text = path.read_text(encoding="utf-8") if path.exists() else toml
        settings = config.parse(text, directory, str(path))
        store = Store(settings.store.url, settings.dir, create=True)
        try:
            _first_release(Project(settings, store))
            _make_suites(settings)
        finally:
            store.close()
        if not path.exists():
            path.write_text(toml, encoding="utf-8")
    except OSError as error:
        raise ExternalError(f"{directory} cannot be written ({error.strerror}): choose another folder.") from error
    return opened(directory)


def _first_release(project: Project) -> None:
    with project.store.reading() as conn:
        if releases.all_releases(conn):
            return
    release = _embedded(project.settings) if project.settings.engine.kind == "embedded" else _upstream(project.settings)
    with project.store.writing() as conn:
        releases.add(conn, release, "init", "the model that the project begins with")


def _embedded(settings: config.Settings) -> Release:
    from loopwise.engine.embedded.weights import fingerprint

    source = settings.dir / settings.train.base if settings.train.base else MODEL
    folder = settings.models / BASE
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        partial.rename(folder)
    return Release(BASE, "champion", None, None, fingerprint(folder), f"{settings.models.name}/{BASE}", time.time())


def _upstream(settings: config.Settings) -> Release:
    from loopwise.engine.openai import OpenAIEngine

    model = str(settings.engine.model)
    claimed = OpenAIEngine(str(settings.engine.url), api_key(settings.engine)).fingerprint(model)
    return Release(model, "champion", None, None, claimed, "", time.time())


def _make_suites(settings: config.Settings) -> None:
    from loopwise.suites import from_file, make, save

    for name, wanted in settings.suites.items():
        path = suite_path(settings.dir, name)
        if path.exists():
            continue
        margin = wanted.margin / 100
        if wanted.sources[0].endswith(".jsonl"):
            suite: Suite = from_file(name, wanted.role, wanted.sources[0], margin)
        else:
            suite = make(name, wanted.role, wanted.sources, wanted.n, settings.loop.seed, margin)
        save(suite, path)
