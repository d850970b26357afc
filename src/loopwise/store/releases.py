"""Release rows and their append-only history. Which steps are allowed is decided in ``release/``, nowhere else."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

from sqlalchemy import Connection, select

from loopwise.errors import UnknownNameError
from loopwise.store.schema import release_events, releases
from loopwise.types import JsonObject, Release, ReleaseState


def add(conn: Connection, release: Release, who: str, why: str) -> None:
    conn.execute(releases.insert(), asdict(release))
    _log(conn, release.name, None, release.state, (who, why))


def set_state(conn: Connection, release: Release, state: ReleaseState, who: str, why: str) -> None:
    conn.execute(releases.update().where(releases.c.name == release.name).values(state=state))
    _log(conn, release.name, release.state, state, (who, why))


def get(conn: Connection, name: str) -> Release | None:
    row = conn.execute(select(releases).where(releases.c.name == name)).mappings().first()
    return Release(**row) if row else None


def champion(conn: Connection) -> Release | None:
    row = conn.execute(select(releases).where(releases.c.state == "champion")).mappings().first()
    return Release(**row) if row else None


def by_name(conn: Connection, name: str) -> Release:
    """The release called ``name``. Raises UnknownNameError with the names that exist."""
    found = get(conn, name)
    if found is None:
        names = ", ".join(known.name for known in all_releases(conn)) or "none yet"
        raise UnknownNameError(f"There is no release named {name!r}; those that exist: {names}.")
    return found


def located(conn: Connection, name: str, root: Path) -> Release:
    """The release called ``name`` with its folder as an absolute path; ``root`` is the project folder."""
    found = by_name(conn, name)
    return replace(found, path=str(root / found.path))


def the_champion(conn: Connection) -> Release:
    """The champion. Raises UnknownNameError when there is none."""
    found = champion(conn)
    if found is None:
        raise UnknownNameError("The project has no champion: run 'loopwise init', or promote a release.")
    return found


def all_releases(conn: Connection) -> list[Release]:
    """Oldest first."""
    return [Release(**row) for row in conn.execute(select(releases).order_by(releases.c.at)).mappings()]


def history(conn: Connection) -> list[JsonObject]:
    """Every transition, oldest first: ``name, from_state, to_state, at, who, why``."""
    return [dict(row) for row in conn.execute(select(release_events).order_by(release_events.c.seq)).mappings()]


def _log(
    conn: Connection, name: str, before: ReleaseState | None, after: ReleaseState, who_why: tuple[str, str]
) -> None:
    who, why = who_why
    row = {"name": name, "from_state": before, "to_state": after, "at": time.time(), "who": who, "why": why}
    conn.execute(release_events.insert(), row)
