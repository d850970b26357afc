"""Which feedback stands, where it falls, and that whatever does not stand is counted under a name."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from loopwise.config import SignalSettings
from loopwise.signals import about, weigh
from loopwise.store import Store, retention
from loopwise.store.schema import forgotten
from loopwise.types import Feedback
from town import exchange, marks, record, said, weighed

UP = said("up", "thumbs", 1)
X = {"name": "x"}
CONTRADICTED = {"contradicted by the same person later": 1}
KEPT_OUT = {"its exchange is kept out of training": 1}


def outcomes(store: Store, *rows: Any, settings: SignalSettings | None = None) -> tuple[set[str], dict[str, int]]:
    """(ids of feedback that gives a signal, counts by outcome)."""
    record(store, [exchange("e", answer=["41", "40"], at=1.0, user="u"), *rows])
    weighing, signals = weighed(store, settings)
    counts = weighing.report["outcomes"]
    assert counts.pop("signals", 0) == len(signals)
    return set(signals), counts


@pytest.mark.parametrize(
    ("rows", "standing", "counts"),
    [
        ([UP, said("down", "thumbs", -1, at=3.0)], {"down"}, {"superseded": 1}),
        ([said("down", "thumbs", -1, at=3.0), UP], {"down"}, {"superseded": 1}),
        ([UP, said("other", "thumbs", -1, user="v")], {"up", "other"}, {}),
        ([UP, said("choice", "thumbs", 1, choice=1)], {"up", "choice"}, {}),
        ([said("a", "thumbs", 1, user=None), said("b", "thumbs", -1, user=None)], {"a", "b"}, {}),
        ([UP, said("fix", "correction", "42", supersedes="up")], {"fix"}, {"superseded": 1}),
        ([UP, said("fix", "correction", "42", user="v", supersedes="up")], {"up", "fix"}, {}),
        ([UP, said("fix", "correction", "42", at=3.0)], {"fix"}, CONTRADICTED),
        ([said("fix", "correction", "42"), said("up", "thumbs", 1, at=3.0)], {"up"}, CONTRADICTED),
        ([said("n", "thumbs", 1, user=None), said("m", "correction", "42", user=None, at=3.0)], {"n", "m"}, {}),
        ([UP, said("m", "copy", True, at=3.0), said("r", "regenerate", True, at=4.0)], {"up", "m", "r"}, {}),
        ([said("a", "metric", 1, metadata=X), said("b", "metric", 0, metadata={"name": "y"})], {"a", "b"}, {}),
        ([said("a", "metric", 1, metadata=X), said("b", "metric", 0, metadata=X, at=3.0)], {"b"}, {"superseded": 1}),
        ([said("same", "correction", "41")], {"same"}, {"correction equal to the answer: an approval": 1}),
        ([said("same", "edit", "41")], {"same"}, {"edit equal to the answer: an approval": 1}),
        ([said("empty", "correction", " ")], set(), {"empty correction": 1}),
        ([said("note", "comment", "nice")], set(), {"comment: says nothing": 1}),
        ([said("odd", "preference", {"chosen": 5, "rejected": 6})], set(), {"preference that cannot be read": 1}),
        ([said("gone", "thumbs", 1, "elsewhere")], set(), {"no such exchange yet": 1}),
        ([said("gone", "thumbs", 1, None, episode_id="elsewhere")], set(), {"no such episode yet": 1}),
        ([said("off", "thumbs", 1, "off"), exchange("off", train=False)], set(), KEPT_OUT),
    ],
)  # fmt: skip
def test_each_feedback_has_an_outcome(sqlite_store: Store, rows: list[Any], standing: set[str], counts: dict[str, int]):
    assert outcomes(sqlite_store, *rows) == (standing, counts)


def test_the_outcomes_are_the_same_on_every_database(store: Store):
    rows = [
        UP, said("down", "thumbs", -1, at=3.0), said("fix", "correction", "42", supersedes="a"), said("a", "edit", "x"),
        said("b", "thumbs", 1, user=None, supersedes="c"), said("c", "copy", True, user=None),
        said("note", "comment", "\0"), said("gone", "thumbs", 1, "elsewhere"),
        exchange("off", train=False), said("off", "thumbs", 1, "off"),
    ]  # fmt: skip
    assert outcomes(store, *rows) == (
        {"down", "fix", "b"},
        {
            "superseded": 3,
            "comment: says nothing": 1,
            "no such exchange yet": 1,
            "its exchange is kept out of training": 1,
        },
    )


def test_what_is_said_of_a_forgotten_exchange_is_counted_as_that(store: Store):
    record(store, [said("late", "thumbs", 1, "theirs")])
    with store.writing() as conn:
        conn.execute(insert(forgotten), [{"id": "theirs", "at": 1.0}])
    assert outcomes(store) == (set(), {"of a forgotten exchange": 1})


def test_expired_text_is_counted_and_a_thumb_outlives_it(sqlite_store: Store):
    days = type("Days", (), {"exchanges": None, "feedback": 1.0, "attempts": None, "datasets": None})
    record(sqlite_store, [UP, said("fix", "correction", "42", user="v"), said("new", "edit", "x", at=9e9)])
    retention.expire(sqlite_store, days(), now=2 * 86_400.0)
    assert outcomes(sqlite_store) == ({"up", "new"}, {"its text has expired or was not to be kept": 1})
    retention.expire(sqlite_store, type("Days", (days,), {"exchanges": 1.0})(), now=2 * 86_400.0)
    assert outcomes(sqlite_store) == (set(), {"its exchange's text has expired": 3})


def of_episode(id: str, at: float, **fields: Any) -> Feedback:
    return said(id, "thumbs", 1, None, at=at, episode_id="chat", **fields)


def test_what_is_said_of_an_episode_falls_on_its_last_exchange_by_then(store: Store):
    times = {"last": 7.0, "first": 2.0, "second": 5.0}
    turns = [exchange(id, id, at=when, episode="chat") for id, when in times.items()]
    given = [of_episode(str(at), at, user=f"u{at}") for at in (5.5, 5.0, 99.0, 0.5)]
    record(store, [*turns, exchange("v", at=6.0, episode="chat", endpoint="embeddings"), *given])

    _, signals = weighed(store)

    assert {id: signal.exchange_id for id, signal in signals.items()} == {
        "5.5": "second",
        "5.0": "second",
        "99.0": "last",
        "0.5": "last",  # before all of them by its own clock
    }
    assert all("share" not in signal.reason for signal in signals.values())


def test_or_on_all_of_them_each_with_its_share(store: Store):
    turns = [exchange(id, at=when, episode="chat") for id, when in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0))]
    record(store, [*turns, of_episode("up", 2.0), said("own", "thumbs", -1, "d", at=9.0)])

    _, signals = weighed(store, SignalSettings(episode="all"))

    assert signals["up"].confidence == pytest.approx(0.7 / 4)
    assert "its share of an episode is 0.25" in signals["up"].reason
    assert signals["own"].confidence == 0.7


def test_what_came_after_the_marks_changes_nothing(store: Store):
    record(store, [exchange("e", at=1.0, episode="chat"), UP])
    reach = marks(store)
    record(store, [exchange("f", at=1.5, episode="chat"), of_episode("late", 2.0), said("down", "thumbs", -1, at=9.0)])

    with store.reading() as conn:
        weighing = weigh(conn, reach, SignalSettings())
        found = [(seq, [signal.feedback_id for signal in signals]) for seq, _, signals in about(conn, reach, weighing)]

    assert found == [(1, ["up"])]
    assert weighing.report["outcomes"] == {"signals": 1}
