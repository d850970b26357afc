"""What curation promises for any examples, checked on generated ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings, strategies as st

from loopwise.curate.anchors import mix_anchors
from loopwise.curate.ledger import Ledger
from loopwise.curate.pipeline import CurateSettings, curate, steps
from loopwise.curate.text import asked, normalized
from loopwise.types import Example, Message, Problem, Suite


def asking(question: str) -> tuple[Message, ...]:
    return ({"role": "user", "content": question},)


HELD_OUT = ("held out", "Also Held", "third")
PROBLEMS = tuple(Problem(f"key:{question}", "s", asking(question), "", "exact") for question in HELD_OUT)
SUITES = [Suite("final", "final", "v1", PROBLEMS[:2]), Suite("anchor", "anchor", "v1", PROBLEMS[2:])]
SETTINGS = CurateSettings(per_prompt=2, per_person=3, anchor_share=0.25, max_characters=40)
QUESTIONS = ["q", "Q ", "p", "\uff50", "held out", "HELD  out", "third", "", "long" * 20]

examples = st.builds(
    Example,
    messages=st.sampled_from(QUESTIONS).map(asking),
    completion=st.sampled_from(["a", "A", "b", "c", "d ", ""]),
    kind=st.sampled_from(["practice", "demonstration", "approved"]),
    source=st.just("s"),
    provenance=st.tuples(st.sampled_from("xyz")),
    key=st.sampled_from(["", "k", "key:third"]),
    user=st.sampled_from([None, "u", "v"]),
    order=st.integers(0, 5),
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
quickly = settings(max_examples=60, deadline=None)


def name(found: list[Example], good: list[Example]) -> str:
    with TemporaryDirectory() as out:
        return curate(found, SUITES, good, SETTINGS, Path(out)).name


@quickly
@given(many, anchors, st.randoms(use_true_random=False))
def test_the_name_does_not_depend_on_the_order_of_arrival(found, good, random):
    shuffled, good_shuffled = random.sample(found, len(found)), random.sample(good, len(good))

    assert name(found, good) == name(shuffled, good_shuffled)


@quickly
@given(many)
@pytest.mark.parametrize("i", range(len(steps(SUITES, SETTINGS))))
def test_each_step_is_idempotent_and_loses_nothing_silently(i, found):
    step = steps(SUITES, SETTINGS)[i]
    usable = list(steps(SUITES, SETTINGS)[0](found, Ledger())) if i else found
    ledger, again = Ledger(), Ledger()

    once = list(step(usable, ledger))

    assert len(once) + ledger.total == len(usable)
    assert list(step(once, again)) == once
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
        dataset = curate(found, SUITES, good, SETTINGS, Path(out))
    manifest = dataset.manifest

    assert manifest["read"] == len(found) == manifest["kept"] + sum(row["count"] for row in manifest["dropped"])
    assert dataset.n == manifest["kept"] + manifest["anchors"]["used"] == sum(manifest["kinds"].values())


def curated(found: list[Example]) -> list[Example]:
    rows: list[Example] = found
    for step in steps(SUITES, SETTINGS):
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
def test_caps_hold(found):
    rows = curated(found)

    per_prompt = Counter(normalized(row.messages[0]["content"]) for row in rows)
    per_person = Counter(row.user for row in rows if row.user)
    assert max(per_prompt.values(), default=0) <= 2
    assert max(per_person.values(), default=0) <= 3
    assert len({(normalized(r.messages[0]["content"]), normalized(r.completion)) for r in rows}) == len(rows)


@quickly
@given(st.integers(0, 400), st.integers(1, 30), st.floats(0.0, 0.9))
def test_the_share_of_anchors_is_right_up_to_rounding(n, n_good, share):
    found = [Example(asking(str(i)), "a", "practice", "s", ()) for i in range(n)]
    good = [Example(asking("good"), str(i), "anchor", "s", ()) for i in range(n_good)]

    rows = list(mix_anchors(found, Ledger(), good, share))

    used = Counter(row.completion for row in rows if row.kind == "anchor")
    total = used.total()
    assert abs(total - share * len(rows)) <= 1.0
    assert (total > 0) == (n > 0)
    assert max(used.values(), default=0) - min((used[a.completion] for a in good), default=0) <= 1  # evenly repeated
