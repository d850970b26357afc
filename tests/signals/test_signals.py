from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loopwise.signals import READERS, read, signals
from loopwise.types import Exchange, Feedback

EXCHANGE = Exchange("ex1", 1.0, "m", "m@1", "sha256:0", "champion", 1.0, {}, {}, 200, 0.1)
UP = Feedback("f1", 1.0, "thumbs", 1, exchange_id="ex1", user="u")
DOWN = replace(UP, id="f2", at=2.0, value=-1)
FIX = Feedback("f3", 3.0, "correction", "right", exchange_id="ex1", user="u")

# for each kind: values from the worst to the best, as far as the kind knows an order
VALUES: dict[str, list[Any]] = {"thumbs": [-1, 1], "correction": ["right"]}
SOURCES = ("human", "implicit", "judge", "verifier")


def ids(*rows: Feedback, exchanges: tuple[str, ...] = ("ex1",)) -> list[str]:
    return [s.feedback_id for s in signals(rows, {id: replace(EXCHANGE, id=id) for id in exchanges})]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", READERS)
def test_every_kind_keeps_sign_range_and_order(kind, source):
    given = [Feedback("f", 1.0, kind, value, "ex1", choice=2, user="u", source=source) for value in VALUES[kind]]

    made = [READERS[kind](row, EXCHANGE) for row in given]

    assert all(-1.0 <= signal.strength <= 1.0 and 0.0 < signal.confidence <= 1.0 and signal.reason for signal in made)
    assert [signal.strength for signal in made] == sorted(signal.strength for signal in made)
    assert {(s.feedback_id, s.exchange_id, s.choice, s.user) for s in made} == {("f", "ex1", 2, "u")}


def test_thumbs_give_their_sign():
    up, down = read(UP, EXCHANGE), read(DOWN, EXCHANGE)

    assert up is not None
    assert down is not None
    assert (up.strength, down.strength, up.text) == (1.0, -1.0, None)


def test_a_correction_marks_the_answer_down_and_gives_the_right_one():
    signal = read(FIX, EXCHANGE)

    assert signal is not None
    assert (signal.strength, signal.text) == (-1.0, "right")


@pytest.mark.parametrize("source", SOURCES)
def test_a_correction_tells_at_least_as_much_as_a_thumb_from_the_same_source(source):
    fix, up = read(replace(FIX, source=source), EXCHANGE), read(replace(UP, source=source), EXCHANGE)

    assert fix is not None
    assert up is not None
    assert fix.confidence >= up.confidence


def test_a_kind_without_a_reader_says_nothing():
    assert read(replace(UP, kind="comment", value="nice"), EXCHANGE) is None
    assert ids(replace(UP, kind="comment", value="nice")) == []


def test_a_persons_later_thumb_replaces_the_earlier_whatever_the_order_of_arrival():
    assert ids(DOWN, UP) == ["f2"]


def test_thumbs_of_other_people_on_other_choices_and_exchanges_all_stand():
    rows = [
        UP,
        replace(UP, id="a", user="v"),
        replace(UP, id="b", choice=1),
        replace(UP, id="c", exchange_id="ex2"),
        FIX,
    ]

    assert set(ids(*rows, exchanges=("ex1", "ex2"))) == {"f1", "a", "b", "c", "f3"}


def test_anonymous_thumbs_do_not_replace_each_other():
    assert ids(replace(UP, user=None), replace(DOWN, user=None)) == ["f1", "f2"]


def test_a_named_feedback_is_superseded_and_so_is_what_it_superseded():
    second = replace(FIX, id="f4", at=4.0, supersedes="f1")
    third = replace(FIX, id="f5", at=5.0, supersedes="f4", value="other")

    assert ids(UP, second, third) == ["f5"]


def test_nobody_withdraws_what_another_person_said():
    assert ids(UP, replace(FIX, user="v", supersedes="f1")) == ["f1", "f3"]


def test_feedback_without_its_exchange_waits():
    assert ids(UP, exchanges=()) == []
    assert ids(replace(UP, exchange_id=None, episode_id="ep")) == []


def test_signals_come_in_the_order_of_time():
    assert ids(FIX, UP) == ["f1", "f3"]
