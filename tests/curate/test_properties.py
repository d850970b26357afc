"""What curation promises for any examples, checked on generated ones. Every step of the table takes the same test."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from loopwise.config import CurateSettings
from loopwise.curate.anchors import ANCHOR_FLOOR, mix_anchors
from loopwise.curate.guards import Guards
from loopwise.curate.identity import lesson
from loopwise.curate.ledger import Ledger
from loopwise.curate.pipeline import curate, steps
from loopwise.curate.text import asked, prompt
from loopwise.types import Example, Message, Problem, Suite


def asking(question: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": question},)


LONG = "the quick brown fox jumps over a lazy dog that sleeps beside the old mill while the river runs on to the sea"
HELD_OUT = ("held out", "Also Held", "third")
PROBLEMS = tuple(Problem(f"key:{question}", "s", asking(question), "", "exact") for question in HELD_OUT)
SUITES = [Suite("final", "final", "v1", PROBLEMS[:2]), Suite("anchor", "anchor", "v1", PROBLEMS[2:])]
SETTINGS = CurateSettings(
    per_prompt=2, per_person=3, per_group=4, per_window=5, max_characters=300, near_duplicate=0.6, segment_share=0.4
)
GUARDS = Guards(quarantined={"bad": "copies"}, groups={"u": "ring", "v": "ring"})
TABLE = steps(SUITES, SETTINGS, GUARDS)
QUESTIONS = ["q", "Q ", "p", "\uff50", "held out", "HELD  out", "third", "", "long" * 99, "mail a@b.org", "<|end|>"]
ANSWERS = ["a", "A", "b", "c", "d ", "", LONG, LONG.replace("fox", "cat"), LONG.replace("mill", "bridge"), LONG + " 7"]

examples = st.builds(
    Example,
    messages=st.sampled_from(QUESTIONS).map(asking),
    completion=st.sampled_from(ANSWERS),
    kind=st.sampled_from(["practice", "demonstration", "approved", "refused", "pair"]),
    source=st.sampled_from(["s", "reasoning-gym:gcd"]),
    provenance=st.tuples(st.sampled_from("xyz")),
    weight=st.sampled_from([0.0, 0.5, 1.0]),
    key=st.sampled_from(["", "", "k", "key:third"]),
    user=st.sampled_from([None, "u", "v", "w", "bad"]),
    segment=st.sampled_from(["", "law", "food"]),
    at=st.sampled_from([0.0, 90_000.0]),
    rejected=st.sampled_from(["a", "b", LONG]),
)
good_examples = st.builds(
    Example,
    messages=st.sampled_from([*QUESTIONS, "r"]).map(asking),
    completion=st.text("ab", max_size=3),
    kind=st.just("anchor"),
    source=st.just("s"),
    provenance=st.just(("good",)),
)
many = st.lists(examples, max_size=40)
anchors = st.lists(good_examples, max_size=6)
quickly = settings(max_examples=25, deadline=None)


@quickly
@given(many)
@pytest.mark.parametrize("name", list(TABLE))
def test_each_step_is_idempotent_and_loses_nothing_silently(name, found):
    ready = found
    for earlier in list(TABLE)[: min(2, list(TABLE).index(name))]:  # all others are told that texts are texts
        ready = list(TABLE[earlier](ready, Ledger()))
    ledger, again = Ledger(), Ledger()

    once = list(TABLE[name](ready, ledger))

    assert len(once) + ledger.total == len(ready)
    assert all(row["step"] == name for row in ledger.rows())
    assert list(TABLE[name](once, again)) == once
    assert again.total == 0


@quickly
@given(many, anchors, st.floats(0.0, 0.9))
def test_mixing_anchors_twice_is_mixing_once_and_drops_nothing(found, good, share):
    ledger = Ledger()

    once = list(mix_anchors(found, ledger, good, share))

    assert list(mix_anchors(once, ledger, good, share)) == once
    assert once[: len(found)] == found
    assert ledger.total == 0


@quickly
@given(many, anchors)
def test_every_example_is_kept_or_accounted_for(found, good):
    with TemporaryDirectory() as out:
        dataset = curate(found, SUITES, good, SETTINGS, GUARDS, 0.25, Path(out))
        again = curate(iter(found), SUITES, good, SETTINGS, GUARDS, 0.25, Path(out))
    manifest = dataset.manifest

    assert again == dataset
    assert manifest["read"] == len(found) == manifest["kept"] + sum(row["count"] for row in manifest["dropped"])
    dropped = Counter({row["step"]: 0 for row in manifest["steps"]})
    for row in manifest["dropped"]:
        dropped[row["step"]] += row["count"]
    assert all(row["read"] - row["kept"] == dropped[row["step"]] for row in manifest["steps"])
    assert dataset.n == manifest["kept"] + manifest["anchors"]["used"] == sum(manifest["kinds"].values())


def curated(found: list[Example]) -> list[Example]:
    rows: list[Example] = found
    for step in TABLE.values():
        rows = list(step(rows, Ledger()))
    return rows


@quickly
@given(many)
def test_no_question_of_a_suite_survives(found):
    held_out = {question.lower() for question in HELD_OUT}

    for row in curated(found):
        assert not row.key.startswith("key:")
        assert asked(row.messages) not in held_out


@quickly
@given(many)
def test_caps_hold_and_nothing_of_people_in_quarantine_is_left(found):
    rows = curated(found)

    per_prompt = Counter((lesson(row), prompt(row)) for row in rows)
    per_person = Counter(row.user for row in rows if row.user)
    assert max(per_prompt.values(), default=0) <= 2
    assert max(per_person.values(), default=0) <= 3
    assert per_person["u"] + per_person["v"] <= 4
    assert per_person["bad"] == 0
    assert max(Counter(row.at for row in rows if row.user).values(), default=0) <= 5
    segments = Counter(row.segment for row in rows if row.user)
    if segments["law"] and segments["food"]:  # two segments cannot both be within 0.4: half of all is the bound
        assert max(segments["law"], segments["food"]) <= segments.total() / 2


@quickly
@given(st.integers(0, 400), st.integers(1, 30), st.floats(0.0, 0.9))
def test_the_share_of_anchors_is_right_up_to_rounding_and_never_under_the_floor(n, n_good, share):
    found = [Example(asking(str(i)), "a", "practice", "s", ()) for i in range(n)]
    good = [Example(asking("good"), str(i), "anchor", "s", ()) for i in range(n_good)]

    rows = list(mix_anchors(found, Ledger(), good, share))

    used = Counter(row.completion for row in rows if row.kind == "anchor")
    total = used.total()
    assert total >= ANCHOR_FLOOR * len(rows)
    assert abs(total - max(share, ANCHOR_FLOOR) * len(rows)) <= 1.0
    assert (total > 0) == (n > 0)
    assert max(used.values(), default=0) - min((used[a.completion] for a in good), default=0) <= 1  # evenly repeated
