"""Release names as folders: the one place where a name that somebody sent becomes a path."""

from __future__ import annotations

import re
from pathlib import Path

from loopwise.errors import EngineError

_NAME = re.compile(r"[A-Za-z0-9._@-]+")


def release_folder(models: Path, release: str) -> Path:
    """The model folder of a release. Raises EngineError (status 404) for a name that is none or is not there."""
    folder = models / release
    if not _NAME.fullmatch(release) or release.startswith(".") or not (folder / "config.json").is_file():
        raise EngineError(
            f"There is no release {release!r} in {models}; GET /v1/models lists what there is.", status=404
        )
    return folder


def available(models: Path) -> list[str]:
    """The names of all releases in the folder, sorted."""
    return sorted(
        path.name
        for path in models.glob("[!.]*")  # a dot begins what is still being written
        if _NAME.fullmatch(path.name) and (path / "config.json").is_file()
    )
