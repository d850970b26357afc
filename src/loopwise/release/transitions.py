"""The life of a release: one table of allowed steps, and the levers that are the only way to take one.

    candidate ─▶ shadow ─▶ canary ─▶ champion ─▶ retired
        └──────────┴──────────┴──▶ rejected        │ ▲
                              └──▶ rolled_back ◀────┘ └─ (back to champion when its successor is rolled back)

``rejected`` and ``rolled_back`` are final: whoever wants such weights again registers them under a new name, so that a
name never means two verdicts. Each lever runs in one transaction that holds the write lock from its first read, so two
operators at once take turns and never see a state that is about to change.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from sqlalchemy import Connection

from loopwise.errors import TransitionError
from loopwise.store import Store, releases
from loopwise.types import Candidate, Release, ReleaseState

Lever = Literal["try", "promote", "reject", "rollback"]

ALLOWED: Mapping[tuple[ReleaseState, ReleaseState], Lever] = {
    ("candidate", "shadow"): "try",
    ("candidate", "canary"): "try",
    ("shadow", "canary"): "try",
    ("candidate", "champion"): "promote",
    ("shadow", "champion"): "promote",
    ("canary", "champion"): "promote",
    ("champion", "retired"): "promote",
    ("candidate", "rejected"): "reject",
    ("shadow", "rejected"): "reject",
    ("canary", "rejected"): "reject",
    ("canary", "rolled_back"): "rollback",
    ("champion", "rolled_back"): "rollback",
    ("retired", "champion"): "rollback",
}


def register(store: Store, release: Release, who: str, why: str) -> Release:
    """Adds a release in the state ``candidate`` and returns it as stored.

    Registering the same weights under the same name again changes nothing, so that an interrupted turn may repeat it.
    Raises TransitionError for another state, and for a name that already stands for something else.
    """
    if release.state != "candidate":
        raise TransitionError(f"{release.name!r} cannot begin as {release.state!r}: register it as 'candidate' first.")
    with store.writing() as conn:
        known = releases.get(conn, release.name)
        if known is None:
            releases.add(conn, release, who, why)
            return release
    if replace(release, state=known.state, at=known.at) != known:
        raise TransitionError(
            f"The name {release.name!r} already stands for the weights {known.fingerprint} in {known.path}: "
            "names are never reused; choose another name."
        )
    return known


def register_candidate(store: Store, made: Candidate, who: str) -> Release:
    """Registers what training made; see ``register``."""
    path = str(made.path.relative_to(store.root))
    release = Release(made.name, "candidate", made.parent, made.dataset, made.fingerprint, path, time.time())
    return register(store, release, who, f"trained by {made.trainer}")


def promote(store: Store, name: str, who: str, why: str, instead_of: str | None = None) -> Release:
    """Makes ``name`` the champion and retires the present one in the same transaction.

    Promoting the present champion changes nothing. Raises UnknownNameError, and TransitionError for a release that is
    retired, rejected or rolled back, or when another champion than ``instead_of`` serves: proof of being better holds
    against the release that it was compared with.
    """
    with store.writing() as conn:
        release = releases.by_name(conn, name)
        if release.state == "champion":
            return release
        _refuse_unless_allowed(release, "champion", "promote")
        present = releases.champion(conn)
        if instead_of is not None and (present is None or present.name != instead_of):
            raise TransitionError(
                f"{name!r} was compared with {instead_of!r}, which is not the champion any more: run another turn, or "
                "promote it by hand."
            )
        if present is not None:
            _step(conn, present, "retired", who, f"{name} took its place: {why}")
        return _step(conn, release, "champion", who, why)


def reject(store: Store, name: str, who: str, why: str) -> Release:
    """Marks ``name`` as refused, for good; rejecting it twice changes nothing.

    Raises UnknownNameError, and TransitionError for a champion or a former one.
    """
    with store.writing() as conn:
        release = releases.by_name(conn, name)
        if release.state == "rejected":
            return release
        _refuse_unless_allowed(release, "rejected", "reject")
        return _step(conn, release, "rejected", who, why)


def rollback(store: Store, who: str, why: str) -> Release:
    """Takes the champion out of service for good and brings back the one that it replaced, which is returned.

    Raises TransitionError when there is no champion, or none before it.
    """
    with store.writing() as conn:
        present = releases.champion(conn)
        if present is None:
            raise TransitionError("There is no champion to roll back: promote a release first.")
        former = _last_retired(conn)
        if former is None:
            raise TransitionError(
                f"{present.name!r} is the first champion, so there is none before it: promote another release."
            )
        _step(conn, present, "rolled_back", who, why)
        return _step(conn, former, "champion", who, f"{present.name} was rolled back: {why}")


def _last_retired(conn: Connection) -> Release | None:
    """The release that was retired last and still is: the one that the present champion replaced."""
    retired = {known.name: known for known in releases.all_releases(conn) if known.state == "retired"}
    for event in reversed(releases.history(conn)):
        if event["to_state"] == "retired" and event["name"] in retired:
            return retired[event["name"]]
    return None


def _refuse_unless_allowed(release: Release, state: ReleaseState, lever: Lever) -> None:
    if ALLOWED.get((release.state, state)) == lever:
        return
    ways_out = {
        "retired": "a retired release comes back only by 'loopwise rollback'",
        "champion": "promote another release, or run 'loopwise rollback'",
    }
    way_out = ways_out.get(release.state, "that state is final; train a new candidate, or register it under a new name")
    raise TransitionError(f"Release {release.name!r} is {release.state!r} and cannot become {state!r}: {way_out}.")


def _step(conn: Connection, release: Release, state: ReleaseState, who: str, why: str) -> Release:
    releases.set_state(conn, release, state, who, why)
    return replace(release, state=state)
