"""Kinds earn their weight: what predicts weighs, what does not weighs nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from loopwise.signals.evidence import IMPLICIT, Evidence
from loopwise.signals.kinds import weighed_kinds
from loopwise.store import Store
from town import exchange, record, said, weighed


def judged(name: str, strengths: Any, good: Any, people: int, numbers: Any = None) -> Any:
    """The worth of a kind seen once on each of N items whose truth is known, by ``people`` in turn."""
    n = len(good)
    zeros, items = np.zeros(n, np.int64), np.arange(1, n + 1)
    number = np.full(n, np.nan) if numbers is None else np.asarray(numbers, float)
    evidence = Evidence(
        [f"u{person}" for person in range(people)], [name], np.arange(n) % people, zeros, np.full(n, IMPLICIT), items,
        items, zeros, zeros, np.asarray(strengths, float), number, np.zeros(n), np.ones(n, bool), zeros[:0], zeros[:0],
        zeros[:0], zeros[:0], np.zeros(0, bool),
    )  # fmt: skip
    others = np.arange(10_001, 10_001 + 2_000)  # answers of which nobody saw such an event: half of them are good
    known = np.concatenate([items, others]), np.concatenate([np.asarray(good, bool), np.arange(2_000) % 2 == 0])
    return weighed_kinds(evidence, known, np.ones(n, bool))[name]


def test_a_kind_that_predicts_weighs_its_lower_bound():
    good = np.arange(400) % 10 != 0  # 90 % of copied answers are good, of all answers 57 %
    found = judged("copy", np.ones(400), good, people=40)

    assert (found.n, found.people, found.agreement) == (400, 40, 0.9)
    assert found.base == pytest.approx((360 + 1_000) / 2_400)
    assert 0 < found.weight == found.low < (0.9 - found.base) / (1 - found.base) < found.high


def test_a_perfect_kind_weighs_nearly_all():
    assert judged("abandon", -np.ones(900), np.zeros(900, bool), people=300).weight > 0.9


@pytest.mark.parametrize("kind", ["copy", "abandon", "thumbs by a program"])
def test_a_kind_that_says_the_opposite_weighs_nothing(kind: str):
    sign = -1.0 if kind == "abandon" else 1.0
    found = judged(kind, np.full(400, sign), np.full(400, sign < 0), people=40)

    assert found.weight == 0.0
    assert found.high < 0


@pytest.mark.parametrize("kind", ["copy", "follow_up", "metric:x"])
def test_noise_weighs_nothing(kind: str):
    """At a two-sided level of 95 % one in 40 would weigh something, and that little; 5 or more of 40: 0.003."""
    weights: list[float] = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        good, numbers = rng.random(500) < 0.5, rng.normal(size=500)
        weights.append(judged(kind, np.ones(500), good, 50, numbers if kind == "metric:x" else None).weight)

    assert sum(weight > 0 for weight in weights) <= 4
    assert max(weights) < 0.1


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_a_metrics_direction_and_middle_are_learned(direction: float):
    rng = np.random.default_rng(7)
    good = rng.random(600) < 0.5
    seconds = 30 + direction * np.where(good, 10, -10) + rng.normal(0, 4, 600)
    found = judged("metric:seconds", np.ones(600), good, people=60, numbers=seconds)

    assert found.weight > 0.8
    assert found.middle == pytest.approx(30, abs=1)
    assert (found.read(30 + direction * 10), found.read(30 - direction * 10)) == pytest.approx((1, -1), abs=0.1)


def test_what_people_who_follow_up_think_is_learned():
    thanks, doubt = (judged("follow_up", np.full(400, -0.5), np.full(400, good), 40) for good in (True, False))

    assert min(thanks.weight, doubt.weight) > 0.75
    assert (thanks.read(-0.5), doubt.read(-0.5)) == (1.0, -1.0)


def test_one_person_s_habit_is_no_evidence_about_others():
    good = np.ones(400, bool)
    assert judged("copy", np.ones(400), good, people=4).weight == 0.0
    few, many = (judged("copy", np.ones(400), good, people=people).weight for people in (6, 200))
    assert few < many


def test_people_who_agree_within_but_not_between_them_count_as_few():
    """Half of ten people copy good answers alone, half bad ones: 400 events, but no more than ten opinions."""
    good = np.arange(400) % 10 < 7
    assert judged("copy", np.ones(400), good, people=10).weight == 0.0
    assert judged("copy", np.ones(400), np.random.default_rng(0).permutation(good), people=10).weight > 0.0


def test_an_edit_counts_until_the_data_refute_it():
    assert judged("edit", -np.ones(4), np.zeros(4, bool), people=4).weight == 1.0
    assert judged("edit", -np.ones(400), np.arange(400) % 2 == 0, people=40).weight == 1.0
    assert judged("edit", -np.ones(400), np.ones(400, bool), people=40).weight == 0.0


def test_weights_reach_the_signals(sqlite_store: Store):
    rng = random.Random(1)
    rows: list[Any] = []
    for n in range(300):
        right, id, user = rng.random() < 0.5, f"e{n}", f"u{n % 30}"
        rows += [
            exchange(id, f"q{n}", "a", user),
            said(f"v{n}", "thumbs", 1 if right else -1, id, None, source="verifier"),
        ]
        rows += [said(f"y{n}", "copy", True, id, user, source="implicit")] if right else []
        rows += [said(f"a{n}", "accept", True, id, user, source="implicit")] if rng.random() < 0.5 else []
        seen = {"name": "seconds"}
        rows += [said(f"s{n}", "metric", 60 if right else 90, id, user, source="implicit", metadata=seen)]
    rows += [exchange("one", "new", "a", "x"), said("yes", "copy", True, "one", "x", source="implicit")]
    record(sqlite_store, rows)

    weighing, signals = weighed(sqlite_store)

    worth = weighing.report["kinds"]
    assert worth["copy"]["weight"] > 0.7
    assert worth["accept"]["weight"] == 0.0
    assert signals["yes"].confidence == pytest.approx(0.8 * weighing.kinds["copy"].weight)
    assert f"the kind has earned {weighing.kinds['copy'].weight:.2f}" in signals["yes"].reason
    assert {signals[id].strength > 0 for id in signals if id.startswith("s")} == {True, False}
    assert all((signals[f"s{n}"].strength > 0) == (f"y{n}" in signals) for n in range(300))
