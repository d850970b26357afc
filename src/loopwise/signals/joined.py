"""Exchanges in order of arrival, each with what was said of it: one ordered walk, a few hundred rows in memory.

Feedback names an exchange, or an episode. What is said of an episode falls on the exchange that was its last when it
was said (the last of all where the clocks disagree), or on all of them, each with its share of the confidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from sqlalchemy import Connection, text

from loopwise.stats.distributions import Integers, Reals
from loopwise.store.lookups import STREAMED, find
from loopwise.types import Exchange, Feedback, Marks

_AT_ONCE = 250
_EXCHANGES = text(
    'SELECT seq, id, at, release, "user", train, expired, status, endpoint, episode, model, '
    "CAST(request AS TEXT), CAST(response AS TEXT) FROM exchanges "
    "WHERE seq > :after AND seq <= :mark ORDER BY seq LIMIT :rows"
)
_FEEDBACK = (
    "SELECT seq, id, at, kind, CAST(value AS TEXT), exchange_id, episode_id, choice, source, "
    '"user", supersedes, CAST(metadata AS TEXT), expired FROM feedback WHERE '
)
_SPOKEN_OF = "e.episode = f.episode_id AND e.endpoint <> 'embeddings' AND e.seq <= :exchanges"
_OF_EPISODES = "f.exchange_id IS NULL AND f.episode_id IS NOT NULL AND f.seq <= :feedback"
_LAST = text(
    f"SELECT f.seq, COALESCE((SELECT e.seq FROM exchanges e WHERE {_SPOKEN_OF} AND e.at <= f.at "
    f"ORDER BY e.at DESC, e.seq DESC LIMIT 1), (SELECT e.seq FROM exchanges e WHERE {_SPOKEN_OF} "
    f"ORDER BY e.at DESC, e.seq DESC LIMIT 1)) FROM feedback f WHERE {_OF_EPISODES}"
)
_ALL = text(f"SELECT f.seq, e.seq FROM feedback f JOIN exchanges e ON {_SPOKEN_OF} WHERE {_OF_EPISODES}")


@dataclass(frozen=True)
class Said:
    """One feedback that falls on an exchange. ``share`` is 1, or its part of what was said of a whole episode."""

    seq: int
    feedback: Feedback
    expired: bool
    share: float


@dataclass(frozen=True)
class Served:
    """An exchange as the store has it, its JSON not yet read, and what was said of it, by time."""

    seq: int
    id: str
    at: float
    release: str
    user: str | None
    train: bool
    expired: bool
    status: int
    endpoint: Any
    episode: str | None
    model: str
    request_json: str
    response_json: str | None
    said: tuple[Said, ...]

    @cached_property
    def exchange(self) -> Exchange:
        """With what readers need; the fields about how it was served are left at nothing."""
        return Exchange(
            self.id, self.at, self.model, self.release, "", "", 1.0, json.loads(self.request_json),
            json.loads(self.response_json or "null"), self.status, 0.0, user=self.user, episode=self.episode,
            train=self.train, endpoint=self.endpoint,
        )  # fmt: skip


@dataclass(frozen=True)
class Falls:
    """Which feedback on episodes falls on which exchange, by the exchange's ``seq``."""

    exchange_K: Integers
    feedback_K: Integers
    share_K: Reals


def falls(conn: Connection, marks: Marks, episode: Literal["last", "all"]) -> Falls:
    """Of all feedback on episodes up to the marks; 24 bytes each."""
    found = conn.execute(_ALL if episode == "all" else _LAST, _bounds(marks), execution_options=STREAMED)
    pairs = np.fromiter((place for said, on in found if on is not None for place in (said, on)), np.int64)
    said_K, on_K = pairs[0::2], pairs[1::2]
    _, place_K, times = np.unique(said_K, return_inverse=True, return_counts=True)
    order = np.lexsort((said_K, on_K))
    share_K = 1.0 / times[place_K] if len(said_K) else np.zeros(0)
    return Falls(on_K[order], said_K[order], np.asarray(share_K, dtype=np.float64)[order])


def joined(conn: Connection, marks: Marks, on_episodes: Falls) -> Iterator[Served]:
    """Every exchange up to the marks, by ``seq``, with all that was said of it up to the marks."""
    after = 0
    while rows := conn.execute(_EXCHANGES, {"after": after, "mark": marks.exchanges, "rows": _AT_ONCE}).all():
        said = _named(conn, [row[1] for row in rows], marks)
        for on, given in _of_episodes(conn, (after, rows[-1][0]), on_episodes):
            said.setdefault(on, []).append(given)
        for row in rows:
            given = sorted(
                said.pop(row[1], []) + said.pop(row[0], []), key=lambda one: (one.feedback.at, one.feedback.id)
            )
            yield Served(*row, said=tuple(given))
        after = rows[-1][0]


def _named(conn: Connection, ids: list[str], marks: Marks) -> dict[str | int, list[Said]]:
    """What names these exchanges, by their ids."""
    found: dict[str | int, list[Said]] = {}
    query = f"{_FEEDBACK}exchange_id IN ({{marks}}) AND seq <= {marks.feedback:d}"
    for row in find(conn, query, ids):
        found.setdefault(row[5], []).append(_said(row, 1.0))
    return found


def _of_episodes(conn: Connection, between: tuple[int, int], on: Falls) -> Iterator[tuple[int, Said]]:
    """(seq of the exchange, what falls on it) for the exchanges after the first and up to the second."""
    start, stop = np.searchsorted(on.exchange_K, between, side="right")
    if start == stop:
        return
    seqs = np.unique(on.feedback_K[start:stop]).tolist()
    rows = {row[0]: row for row in find(conn, f"{_FEEDBACK}seq IN ({{marks}})", seqs)}
    for place in range(start, stop):
        yield int(on.exchange_K[place]), _said(rows[int(on.feedback_K[place])], float(on.share_K[place]))


def _said(row: tuple[Any, ...], share: float) -> Said:
    seq, id, at, kind, value, exchange_id, episode_id, choice, source, user, supersedes, metadata, expired = row
    return Said(
        seq,
        Feedback(
            id, at, kind, json.loads(value), exchange_id, episode_id, choice, source, user, None, supersedes,
            json.loads(metadata),
        ),
        bool(expired),
        share,
    )  # fmt: skip


def _bounds(marks: Marks) -> dict[str, int]:
    return {"exchanges": marks.exchanges, "feedback": marks.feedback}
