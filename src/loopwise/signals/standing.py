"""Which feedback still stands, and what became of the rest: every one has an outcome with a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection, text

from loopwise.signals import metric
from loopwise.signals.joined import Said, Served
from loopwise.signals.reading import read
from loopwise.stats.distributions import Integers
from loopwise.store.lookups import STREAMED
from loopwise.types import Feedback, FeedbackKind, Marks, Signal

_WITHDRAWN = text(
    "SELECT earlier.seq FROM feedback f JOIN feedback earlier ON earlier.id = f.supersedes "
    "WHERE f.supersedes IS NOT NULL AND f.seq <= :mark AND earlier.seq <= :mark AND f.id <> earlier.id "
    'AND (f."user" = earlier."user" OR (f."user" IS NULL AND earlier."user" IS NULL)) ORDER BY earlier.seq'
)
_NAMED = "exchange_id IS NOT NULL AND seq <= :mark"
_COUNTS = {
    "on exchanges": f"SELECT count(*) FROM feedback WHERE {_NAMED}",
    "on episodes": "SELECT count(*) FROM feedback WHERE exchange_id IS NULL AND seq <= :mark",
    "forgotten": f"SELECT count(*) FROM feedback WHERE {_NAMED} AND exchange_id IN (SELECT id FROM forgotten) "
    "AND exchange_id NOT IN (SELECT id FROM exchanges WHERE id IN (SELECT id FROM forgotten))",
}
OUTRIGHT: tuple[FeedbackKind, ...] = ("thumbs", "rating", "correction")  # says of an answer that it is good or bad


def withdrawn(conn: Connection, marks: Marks) -> Integers:
    """The ``seq`` of all feedback that a later one of the same person names in ``supersedes``, sorted. Nobody withdraws
    what another person said."""
    found = conn.execute(_WITHDRAWN, {"mark": marks.feedback}, execution_options=STREAMED)
    return np.unique(np.fromiter((seq for (seq,) in found), np.int64))


def unjoined(conn: Connection, marks: Marks, joined_named: int, joined_episodes: int) -> dict[str, int]:
    """How much feedback has no exchange, and why; given how much has one."""
    counts = {name: conn.scalar(text(query), {"mark": marks.feedback}) or 0 for name, query in _COUNTS.items()}
    return {
        "of a forgotten exchange": counts["forgotten"],
        "no such exchange yet": counts["on exchanges"] - joined_named - counts["forgotten"],
        "no such episode yet": counts["on episodes"] - joined_episodes,
    }


def meant(one: Served, gone: Integers, outcomes: Counter[str]) -> list[tuple[Said, Signal]]:
    """The signals of an exchange's feedback that stands, by time.

    A feedback falls when a later one of the same person withdraws it, or is of the same kind (metrics: and name) on the
    same choice; or when the person later says outright the opposite of the same answer. What names nobody falls only
    by name, since it may come from different people.
    """
    if not one.train:
        outcomes["its exchange's text has expired" if one.expired else "its exchange is kept out of training"] += len(
            one.said
        )
        return []
    found = [(said, signal) for said in _latest(one.said, gone, outcomes) for signal in _read(said, one, outcomes)]
    return _consistent(found, outcomes)


def _latest(said: Sequence[Said], gone: Integers, outcomes: Counter[str]) -> Iterator[Said]:
    left = [one for one in said if not _among(gone, one.seq)]
    last = {_place(one.feedback): one.seq for one in left if one.feedback.user is not None}
    standing = [one for one in left if last.get(_place(one.feedback), one.seq) == one.seq]
    if len(standing) < len(said):
        outcomes["superseded"] += len(said) - len(standing)
    yield from standing


def _read(said: Said, one: Served, outcomes: Counter[str]) -> Iterator[Signal]:
    feedback = said.feedback
    signal = read(feedback, one.exchange)
    if signal is not None:
        if signal.text is None and feedback.kind in ("correction", "edit"):
            outcomes[f"{feedback.kind} equal to the answer: an approval"] += 1
        yield signal
    elif feedback.value is None and feedback.kind in ("correction", "edit", "preference"):
        outcomes["its text has expired or was not to be kept"] += 1
    elif feedback.kind in ("correction", "edit"):
        outcomes[f"empty {feedback.kind}"] += 1
    elif feedback.kind == "comment":
        outcomes["comment: says nothing"] += 1
    else:
        outcomes[f"{feedback.kind} that cannot be read"] += 1


def _consistent(found: list[tuple[Said, Signal]], outcomes: Counter[str]) -> list[tuple[Said, Signal]]:
    last: dict[tuple[str, int], float] = {}
    for _, signal in found:
        if _outright(signal):
            last[str(signal.user), signal.choice] = signal.strength
    kept = [
        (said, signal)
        for said, signal in found
        if not _outright(signal) or signal.strength * last[str(signal.user), signal.choice] > 0
    ]
    if len(kept) < len(found):
        outcomes["contradicted by the same person later"] += len(found) - len(kept)
    return kept


def _outright(signal: Signal) -> bool:
    return signal.kind in OUTRIGHT and signal.source == "human" and signal.user is not None and signal.strength != 0.0


def _place(feedback: Feedback) -> tuple[str | None, str | None, str, int]:
    kind = metric.name(feedback) if feedback.kind == "metric" else feedback.kind
    return feedback.user, feedback.exchange_id, kind, feedback.choice


def _among(gone: Integers, seq: int) -> bool:
    place = int(np.searchsorted(gone, seq)) if len(gone) else 0
    return place < len(gone) and int(gone[place]) == seq
