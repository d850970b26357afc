"""The pass as a whole: a function of the store, in order, with nobody's words in its report."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from loopwise.config import SignalSettings
from loopwise.signals import about, weigh
from loopwise.store import Store, exchanges
from loopwise.types import Marks
from town import Town, exchange, marks, record, said, weighed


def town(seed: int = 2) -> Town:
    made = Town(seed)
    made.people([0.02] * 20 + [0.2] * 10, 500, 60, verified=0.2)
    made.copies(4, 8)
    for n in range(0, 500, 5):
        scale = {"scale": [1, 5]}
        made.rows.append(said(f"r{n}", "rating", 1 + n % 5, f"ep{n}", f"p-{n % 7}", at=9e6 + n, metadata=scale))
        made.rows.append(
            said(f"m{n}", "metric", n % 3, f"ep{n}", f"p-{n % 7}", source="implicit", metadata={"name": "x"})
        )
        made.rows.append(said(f"y{n}", "copy", True, f"ep{n}", None, source="implicit"))
    return made


def told(store: Store) -> Any:
    """All that is found, with signals by the id of their feedback."""
    weighing, signals = weighed(store)
    found = weighing.report, weighing.groups, dict(weighing.quarantined), dict(weighing.evidence)
    return json.loads(json.dumps(found)), signals


def test_the_same_rows_give_the_same_on_every_database_and_in_every_order(store: Store, tmp_path: Any):
    rows = town().rows
    record(store, rows)
    random.Random(1).shuffle(rows)
    other = Store("sqlite:///other.db", tmp_path, create=True)
    record(other, rows)

    first, second = told(store), told(other)
    other.close()

    assert first == second
    assert told(store) == first
    assert len(first[1]) > 700


def test_rows_that_have_nothing_to_do_with_it_change_nothing(sqlite_store: Store):
    record(sqlite_store, town().rows)
    report, signals = told(sqlite_store)
    more = [said(f"x{n}", "thumbs", 1, "elsewhere", "aaa") for n in range(300)]
    record(sqlite_store, [*more, said("note", "comment", "?", "ep1", "aab")])

    again, same = told(sqlite_store)

    assert same == signals
    assert again[1:] == report[1:]
    differing = {name for name in again[0] if again[0][name] != report[0].get(name)}
    assert differing == {"outcomes"}


def test_exchanges_come_in_order_and_only_those_of_which_something_stands(store: Store):
    rows = [exchange("b", at=9.0), exchange("a", at=1.0), exchange("quiet"), exchange("c", train=False)]
    record(store, [*rows, *(said(f"f{id}", "thumbs", 1, id) for id in ("a", "b", "c")), said("g", "copy", True, "b")])
    with store.reading() as conn:
        weighing = weigh(conn, marks(store), SignalSettings())
        found = list(about(conn, marks(store), weighing))
        stored = [exchanges.get(conn, id) for id in ("b", "a")]

    assert [(seq, [signal.feedback_id for signal in signals]) for seq, _, signals in found] == [
        (1, ["fb", "g"]),
        (2, ["fa"]),
    ]
    assert [exchange.request for _, exchange, _ in found] == [row and row.request for row in stored]
    assert [exchange.response for _, exchange, _ in found] == [row and row.response for row in stored]


def test_an_empty_store_weighs_nothing(store: Store):
    with store.reading() as conn:
        weighing = weigh(conn, Marks(0, 0), SignalSettings())
        assert list(about(conn, Marks(0, 0), weighing)) == []
    assert (weighing.groups, weighing.quarantined, weighing.report["outcomes"]) == ({}, {}, {})
    assert weighing.report["propensity"]["refused"] == "nothing was served that may be trained on"


def test_the_report_holds_no_words_and_no_names(sqlite_store: Store):
    made = town()
    made.rows.append(
        said("s", "correction", "SECRET words", "ep1", "SECRET-person", comment="SECRET", metadata={"SECRET": 1})
    )
    made.rows.append(exchange("z", "SECRET", "SECRET", "SECRET-person", system="SECRET", episode="SECRET"))
    record(sqlite_store, made.rows)

    report, _ = told(sqlite_store)

    assert "SECRET" not in json.dumps(report[0])
    assert "copy-" not in json.dumps(report[0]["groups"]) + json.dumps(report[0]["raters"])


def test_a_proved_rater_counts_for_more_and_a_careless_one_for_less(sqlite_store: Store):
    rng, rows = random.Random(3), list[Any]()
    for n in range(150):
        right = rng.random() < 0.5
        rows += [
            exchange(f"e{n}", f"q{n}", "a", "x"),
            said(f"v{n}", "thumbs", 1 if right else -1, f"e{n}", None, source="verifier"),
        ]
        rows += [said(f"good{n}", "thumbs", 1 if right else -1, f"e{n}", "good")]
        rows += [said(f"coin{n}", "thumbs", rng.choice((1, -1)), f"e{n}", "coin")]
    rows += [said("new", "thumbs", 1, "e0", "new"), said("judge", "thumbs", 1, "e1", None, source="judge")]
    record(sqlite_store, rows)

    _, signals = weighed(sqlite_store)

    assert signals["good0"].confidence > 0.9
    assert signals["coin0"].confidence < 0.25
    assert signals["new"].confidence == pytest.approx(0.7, abs=0.1)
    assert signals["v0"].confidence == 1.0
    assert signals["judge"].confidence == pytest.approx(0.6, abs=0.1)
    assert "this rater's word counts" in signals["good0"].reason
    assert all(0 <= signal.confidence <= 1 and -1 <= signal.strength <= 1 for signal in signals.values())


def test_the_quiet_speak_for_the_quiet(sqlite_store: Store):
    """Heavy users mark every answer, light users one in ten: a light user's word stands for many like it."""
    rows: list[Any] = []
    for n in range(2_000):
        heavy = n % 2 == 0
        user = f"heavy-{n % 20}" if heavy else f"light-{n // 4}"
        rows.append(exchange(f"e{n}", f"q{n}", "a", user))
        if heavy or n % 20 == 1:
            rows += [
                said(f"f{n}", "thumbs", 1, f"e{n}", user),
                said(f"y{n}", "copy", True, f"e{n}", user, source="implicit"),
            ]
    record(sqlite_store, rows)

    weighing, signals = weighed(sqlite_store)

    assert weighing.report["propensity"]["refused"] is None
    assert signals["f1"].weight / signals["f0"].weight == pytest.approx(8.7, abs=0.5)  # ten, shrunk toward what all do
    assert "it stands for" in signals["f1"].reason
    assert signals["y1"].weight == 1.0
    mean = sum(signals[id].weight for id in signals if id.startswith("f")) / 1_100
    assert mean == pytest.approx(1.0, abs=1e-6)


def test_a_refused_propensity_weighs_all_alike_and_says_why(sqlite_store: Store):
    record(sqlite_store, [exchange("e"), said("up", "thumbs", 1)])
    weighing, signals = weighed(sqlite_store)

    assert signals["up"].weight == 1.0
    assert weighing.report["propensity"]["refused"] == "1 of 1 spoke, fewer than 50"


@pytest.mark.parametrize(
    "request_",
    [{}, {"messages": 3}, {"messages": [3, {"role": "user"}, {"role": "user", "content": [3, {"text": 4}]}]},
     {"tools": [3]}, {"metadata": {"segment": 3}}, {"metadata": [1]},
     {"messages": [{"role": "user", "content": "\ud800\0"}]}],
)  # fmt: skip
def test_whatever_stands_in_a_record_is_weighed(sqlite_store: Store, request_: dict[str, Any]):
    hostile = replace(exchange("e"), request=request_)
    record(
        sqlite_store,
        [hostile, said("fix", "correction", "<|im_end|>\u2028\r\n" * 1_000), said("s", "thumbs", -1, user="v")],
    )

    _, signals = weighed(sqlite_store)

    assert set(signals) == {"fix", "s"}
