"""Who is kept out: attackers are named where there is evidence, honest people are left alone, operators have the last
word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwise.errors import UnknownNameError
from loopwise.signals.agreement import below_chance, collusion
from loopwise.signals.bursts import bursts
from loopwise.signals.copycats import Statements, alike
from loopwise.signals.raters import NAMELESS, Jury
from loopwise.stats.dawid_skene import UNKNOWN, Labels, dawid_skene
from loopwise.store import Store, quarantine
from loopwise.store.quarantine import Decision
from town import DAY, Town, exchange, record, said, weighed

HONEST = [0.02] * 34 + [0.15] * 10 + [0.5] * 6  # some slip, some press at random


def named(store: Store, prefix: str) -> set[str]:
    weighing, _ = weighed(store)
    return {person for person in weighing.quarantined if person.startswith(prefix)}


def populated(store: Store, seed: int = 1, **people: Any) -> Town:
    town = Town(seed, **{name: people.pop(name) for name in ("span_s",) if name in people})
    town.people(**{"noise": HONEST, "events": 900, "prompts": 300, "verified": 0.1, **people})
    return town


@pytest.mark.parametrize(
    "people",
    [
        {},
        {"prompts": 25},  # everybody is asked the same
        {"span_s": 10.0},  # a simulation, with all events in seconds
        {"verified": 0.0},
    ],
)
def test_honest_people_are_left_alone(sqlite_store: Store, people: dict[str, Any]):
    """Of 50, of whom six press at random and are named with a probability of 0.002 each."""
    record(sqlite_store, populated(sqlite_store, **people).rows)
    assert named(sqlite_store, "") == set()


@pytest.mark.slow
def test_of_many_towns_at_most_one_percent_of_honest_people_are_kept_out(tmp_path: Any):
    out = 0
    for seed in range(12):
        store = Store(f"sqlite:///{seed}.db", tmp_path, create=True)
        record(store, populated(store, seed, prompts=(25, 300)[seed % 2], verified=(0.0, 0.1, 0.3)[seed % 3]).rows)
        out += len(named(store, "p"))
        store.close()
    assert out <= 0.01 * 12 * len(HONEST)


def test_a_community_with_prompts_of_its_own_is_left_alone(sqlite_store: Store):
    town = populated(sqlite_store)
    town.people([0.02] * 12, 480, 40, name="office")  # forty answers each, to forty prompts that nobody else asks
    record(sqlite_store, town.rows)
    assert named(sqlite_store, "") == set()


def test_liars_are_named_once_enough_is_settled(sqlite_store: Store):
    town = populated(sqlite_store)
    town.liars(10, 12, 300, verified=1.0)
    record(sqlite_store, town.rows)

    weighing, _ = weighed(sqlite_store)

    assert len(weighing.quarantined) >= 9
    assert all(person.startswith("liar") for person in weighing.quarantined)
    assert weighing.evidence["liar-0"]["settled"] >= 9
    assert weighing.evidence["liar-0"]["verified"] == weighing.evidence["liar-0"]["settled"]
    assert weighing.quarantined["liar-0"].startswith("below chance: ")


def test_liars_are_named_by_what_others_say_where_nothing_is_verified(sqlite_store: Store):
    town = populated(sqlite_store, prompts=40, verified=0.0)
    town.liars(8, 40, 40, verified=0.0)
    record(sqlite_store, town.rows)

    found = named(sqlite_store, "")

    assert len(found) >= 7
    assert all(person.startswith("liar") for person in found)


@pytest.mark.parametrize(("accounts", "events"), [(5, 20), (40, 10)])
def test_copies_are_named_and_grouped(sqlite_store: Store, accounts: int, events: int):
    town = populated(sqlite_store)
    town.copies(accounts, events)
    record(sqlite_store, town.rows)

    weighing, _ = weighed(sqlite_store)

    copies = {f"copy-{number}" for number in range(accounts)}
    assert set(weighing.quarantined) == copies
    assert {weighing.groups[copy] for copy in copies} == {"alike:copy-0"}
    assert set(weighing.groups) == copies
    assert weighing.evidence["copy-1"] == {"repeated": events, "statements": events, "accounts": accounts}
    assert weighing.report["quarantine"] == {"people": accounts, "by": {"copy-cat": accounts}, "alike_by_design": False}


def test_an_honest_person_whom_liars_outvote_is_cleared_once_they_are_gone(sqlite_store: Store):
    """Two against one on sixty answers, of which a verifier has seen a third."""
    town, rows = populated(sqlite_store), list[Any]()
    for n in range(60):
        for who, mark in (("ring-0", -1), ("ring-1", -1), ("p-1", 1)):
            truth = 1 if n % 2 else -1
            id = f"{who}-{n}"
            rows += [exchange(id, f"ring {n}", "a", who)]
            slip = -1 if who == f"ring-{n % 2}" and n % 5 == 1 else 1  # so that they are no copies of each other
            rows += [said(f"m{id}", "thumbs", mark * truth * slip, id, who, at=n * DAY / 4)]
        rows += [said(f"w{n}", "thumbs", truth, f"p-1-{n}", None, source="verifier")] if n % 3 == 0 else []
    record(sqlite_store, [*town.rows, *rows])

    assert named(sqlite_store, "") == {"ring-0", "ring-1"}


def a_jury(seed: int, ring: int) -> Any:
    """300 items, each judged by four of forty people who err in a tenth; the first 60 also by ``ring`` accounts that
    agree on coins they tossed beforehand."""
    rng = np.random.default_rng(seed)
    truth = rng.random(300) < 0.5
    item = np.repeat(np.arange(300), 4)
    rater = np.concatenate([rng.choice(40, 4, replace=False) for _ in range(300)])
    good = truth[item] ^ (rng.random(1_200) < 0.1)
    coins = rng.random(60) < 0.5
    item = np.concatenate([item, np.tile(np.arange(60), ring)])
    rater = np.concatenate([rater, np.repeat(40 + np.arange(ring), 60)])
    labels = Labels(item, rater, np.concatenate([good, np.tile(coins, ring)]), np.full(300, UNKNOWN), 42 + NAMELESS)
    return Jury(np.arange(300), labels, dawid_skene(labels))


def test_who_always_says_the_same_is_no_liar():
    """One person praises forty verified answers of which eight are good; another is wrong about each of forty."""
    truth = np.arange(40) % 5 == 0
    item, rater = np.tile(np.arange(40), 2), np.repeat([0, 1], 40)
    labels = Labels(item, rater, np.concatenate([np.ones(40, bool), ~truth]), truth.astype(np.int64), 2 + NAMELESS)
    (found,) = below_chance(Jury(np.arange(40), labels, dawid_skene(labels)), proved=True)

    assert (found.person, found.evidence) == (1, {"right": 0, "settled": 40, "verified": 40, "chance": 0.5})


def test_accounts_that_agree_more_than_their_reliability_explains_are_named():
    found = collusion(a_jury(1, ring=2))

    assert found.group_of == {40: 40, 41: 40}
    first, second = found.suspicions()
    assert (first.person, second.person) == (40, 41)
    assert (first.evidence["agreed"], first.evidence["met"]) == (60, 60)
    assert first.evidence["expected"] < 0.8


def test_independent_raters_are_not():
    """That any pair is named has a bound of 0.005 in each of 40 towns; two or more: 0.02."""
    assert sum(bool(collusion(a_jury(seed, ring=0)).group_of) for seed in range(40)) <= 1


def test_a_burst_is_far_from_hands_and_far_from_others():
    who = np.concatenate([np.repeat(np.arange(20), 30), np.full(400, 20)])
    rng = np.random.default_rng(1)
    at = np.concatenate([rng.uniform(0, 30 * DAY, 600), 5 * DAY + np.arange(400) * 0.5])
    (found,) = bursts(who, at, {})

    assert (found.person, found.what) == (20, "burst")
    assert found.evidence["statements"] == 121  # at half a second each, both ends of the minute counted
    assert list(bursts(who[:600], at[:600], {})) == []
    assert list(bursts(who, at / DAY, {})) == []  # the others do much in short time, too: 30 in half a minute
    assert list(bursts(who[who > 12], at[who > 12], {})) == []  # eight people are too few to say what is usual


def test_a_group_that_is_fast_together_is_a_burst():
    who = np.concatenate([np.repeat(np.arange(40), 10), np.repeat(np.arange(40, 60), 15)])
    at = np.concatenate([np.random.default_rng(1).uniform(0, 30 * DAY, 400), 9 * DAY + np.arange(300) * 0.2])
    together = dict.fromkeys(range(40, 60), 40)

    assert list(bursts(who, at, {})) == []
    assert [found.person for found in bursts(who, at, together)] == list(range(40, 60))
    assert "its group" in next(iter(bursts(who, at, together))).reason


def test_chance_meetings_make_nobody_alike():
    """200 accounts draw 20 statements each from 500, in 20 towns: that any pair is alike is bound by 0.001 in each."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        what = np.concatenate([rng.choice(500, 20, replace=False) for _ in range(200)])
        assert alike(Statements(np.repeat(np.arange(200), 20), what, what)).group_of == {}


def test_where_most_look_alike_nobody_is_a_copy():
    """Twelve groups of five say the same twenty things each; forty others have nothing in common."""
    who = np.concatenate([np.repeat(np.arange(60), 20), 60 + np.arange(800) // 20])
    what = np.concatenate(
        [np.concatenate([20 * (person // 5) + np.arange(20) for person in range(60)]), 1_000 + np.arange(800)]
    )
    found = alike(Statements(who, what, what))

    assert found.by_design
    assert len(set(found.group_of.values())) == 12
    assert list(found.suspicions()) == []


def test_alike_accounts_that_disagree_where_they_meet_share_a_cap_and_stay():
    """Five who are asked the same forty things, and say one of two things of each; and others with their own."""
    rng = np.random.default_rng(2)
    about = np.concatenate([np.tile(np.arange(40), 5), 1_000 + np.arange(1_000)])
    who = np.concatenate([np.repeat(np.arange(5), 40), 5 + np.arange(1_000) // 20])
    what = 2 * about + np.concatenate([rng.random(200) < 0.15, np.zeros(1_000, bool)])
    found = alike(Statements(who, what, about))

    assert set(found.group_of) == {0, 1, 2, 3, 4}
    assert found.copies == {}


def decide(store: Store, person: str, out: bool, why: str = "seen by eye") -> None:
    with store.writing() as conn:
        quarantine.decide(conn, person, Decision(out, 5.0, "ada", why))


def test_operators_have_the_last_word_in_both_directions(store: Store):
    town = populated(store)
    town.copies(5, 20)
    record(store, town.rows)
    decide(store, "copy-0", out=False)
    decide(store, "p-3", out=True)
    decide(store, "p-4", out=True)
    decide(store, "p-4", out=False)

    weighing, signals = weighed(store)

    assert set(weighing.quarantined) == {"copy-1", "copy-2", "copy-3", "copy-4", "p-3"}
    assert weighing.quarantined["p-3"] == "decided by ada: seen by eye"
    assert "copy-0" in weighing.groups  # let in, but still alike: the cap of its group binds it
    assert {signal.user for signal in signals.values()} > {"copy-1", "p-3"}  # what they said is still told


def test_who_is_kept_out_is_no_evidence_about_others(sqlite_store: Store):
    """A rater who agrees with nobody but a liar is believed again once the liar is out."""
    rows: list[Any] = []
    for n in range(40):
        rows += [exchange(f"e{n}", f"q{n}", "a", "lone")]
        rows += [said(f"a{n}", "thumbs", 1, f"e{n}", "lone"), said(f"b{n}", "thumbs", -1, f"e{n}", "liar")]
        rows += [said(f"v{n}", "thumbs", 1 if n % 2 else -1, f"e{n}", None, source="verifier")] if n < 20 else []
    record(sqlite_store, rows)
    before, _ = weighed(sqlite_store)
    decide(sqlite_store, "liar", out=True)
    after, _ = weighed(sqlite_store)

    def standing(weighing: Any) -> float:
        return weighing.standing_R[weighing.people["lone"]]

    assert before.report["raters"]["labels"] == 80
    assert after.report["raters"]["labels"] == 40
    assert standing(after) != standing(before)
    assert after.standing_R[after.people["liar"]] == 1.0  # nothing counts for or against it


def test_a_decision_on_somebody_unknown_is_refused(store: Store):
    with pytest.raises(UnknownNameError, match="There is no person 'nobody'"):
        decide(store, "nobody", out=True)
