"""What the page shows, read from the store in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from loopwise.config import FINAL
from loopwise.errors import StoreError
from loopwise.stats.intervals import mean_interval
from loopwise.store import Store, exchanges, feedback, releases, scores
from loopwise.store.blobs import Blobs
from loopwise.types import Release, SuiteScores

SUITE = FINAL  # the one that no gate reads


@dataclass(frozen=True)
class Point:
    """A release's score on the final suite: shares of 1 with their 95 % interval over ``n`` questions."""

    release: str
    score: float
    low: float
    high: float
    n: int
    champion: bool


@dataclass(frozen=True)
class Row:
    """A line of the table of releases."""

    release: Release
    made: datetime
    point: Point | None
    exchanges: int


@dataclass(frozen=True)
class View:
    """The whole page. ``problem`` says why scores that exist cannot be shown."""

    champion: str | None
    points: list[Point]  # oldest release first
    rows: list[Row]  # newest release first
    exchanges: int
    feedback: dict[str, int]  # by kind, most frequent first
    problem: str | None


def read_view(store: Store) -> View:
    """Raises StoreError when the store cannot be read; a missing blob only costs the scores."""
    with store.reading() as conn:
        known = releases.all_releases(conn)
        by_release = exchanges.count_by_release(conn)
        by_kind = feedback.count_by_kind(conn)
        try:
            found, problem = _latest_scores(conn, store.blobs), None
        except StoreError as error:
            found, problem = {}, str(error)
    points = {release.name: _point(release, found[release.name]) for release in known if release.name in found}
    rows = [
        Row(
            release=release,
            made=datetime.fromtimestamp(release.at, UTC),
            point=points.get(release.name),
            exchanges=by_release.get(release.name, 0),
        )
        for release in reversed(known)
    ]
    champions = [release.name for release in known if release.state == "champion"]
    return View(
        champion=champions[0] if champions else None,
        points=list(points.values()),
        rows=rows,
        exchanges=sum(by_release.values()),
        feedback=dict(sorted(by_kind.items(), key=lambda item: (-item[1], item[0]))),
        problem=problem,
    )


def _latest_scores(conn: Connection, blobs: Blobs) -> dict[str, SuiteScores]:
    """By release, on the suite's newest version alone: scores on different questions cannot be compared."""
    found = scores.of_suite(conn, blobs, SUITE)
    return {row.release: row for row in found if row.version == found[-1].version}


def _point(release: Release, found: SuiteScores) -> Point:
    interval = mean_interval(found.scores)
    champion = release.state == "champion"
    return Point(release.name, interval.estimate, interval.low, interval.high, interval.n, champion)
