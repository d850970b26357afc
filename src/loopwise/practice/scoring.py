"""Suite scores that the store remembers: the same weights are never asked the same suite twice."""

from __future__ import annotations

from dataclasses import replace

from loopwise.errors import EngineError
from loopwise.practice.rollout import score_suite
from loopwise.store import Store, scores
from loopwise.types import Engine, Progress, Release, Suite, SuiteScores
from loopwise.verify.pool import VerifierPool


def scores_of(
    store: Store, server: Engine, pool: VerifierPool, release: Release, suite: Suite, progress: Progress | None = None
) -> SuiteScores:
    """The greedy scores of ``release`` on ``suite``, from the store or asked of ``server``.

    Raises EngineError when the server answers with other weights than the release's: scores of stale weights would
    promote or refuse the wrong candidate.
    """
    with store.reading() as conn:
        known = scores.get(conn, store.blobs, suite.name, suite.version, release.fingerprint)
    if known:
        return replace(known, release=release.name)  # other names may stand for the same weights
    found = score_suite(server, pool, release.name, suite, progress)
    if found.fingerprint != release.fingerprint:
        raise EngineError(
            f"The server answers as {release.name!r} with the weights {found.fingerprint}, but the release is "
            f"{release.fingerprint}: restart the engine, and see 'loopwise doctor'."
        )
    with store.writing() as conn:
        scores.add(conn, store.blobs, found)
    return found
