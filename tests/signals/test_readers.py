"""What every reader promises, and what each kind's odd values are taken to mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from loopwise.signals import READERS, read
from loopwise.types import Feedback, FeedbackKind, Signal
from town import exchange, said

ASKED = exchange("e", "7 * 6?", ["41", "42", "about 40"])
SOURCES = ("human", "implicit", "judge", "verifier")
# for each kind: values from the worst to the best, as far as the kind knows an order
VALUES: dict[str, list[Any]] = {
    "thumbs": [-1, 1],
    "rating": [1, 2, 3.5, 5],
    "metric": [-7.0, 0, 0.25, 1, 30],
    "correction": ["42", " 41\n"],
    "preference": [{"chosen": 1, "rejected": 0}, {"chosen": "43", "rejected": "44"}, {"chosen": 0, "rejected": 2}],
    "comment": [],
    "accept": [True],
    "copy": [True],
    "edit": ["42", "41"],
    "regenerate": [True],
    "abandon": [True],
    "follow_up": ["and 7 * 7?"],
}
EXTRA = {"rating": {"scale": [1, 5]}, "metric": {"name": "resolved"}}


def meant(kind: Any, value: Any, **fields: Any) -> Signal | None:
    return read(said("f", kind, value, metadata=EXTRA.get(kind, {}), **fields), ASKED)


def test_every_kind_has_a_reader():
    assert set(READERS) == set(VALUES) == set(get_args(FeedbackKind))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "comment"])
def test_every_kind_keeps_sign_range_and_order(kind: FeedbackKind, source: Any):
    found = [meant(kind, value, source=source) for value in VALUES[kind]]

    made = [signal for signal in found if signal is not None]
    assert len(made) == len(found)
    assert all(-1.0 <= signal.strength <= 1.0 and 0.0 < signal.confidence <= 1.0 and signal.reason for signal in made)
    assert [signal.strength for signal in made] == sorted(signal.strength for signal in made)
    assert {(s.feedback_id, s.exchange_id, s.choice, s.user, s.kind, s.source, s.at) for s in made} == {
        ("f", "e", 0, "u", kind, source, 2.0)
    }


@pytest.mark.parametrize("source", SOURCES)
def test_a_written_answer_tells_at_least_as_much_as_a_thumb_from_the_same_source(source: Any):
    fix, edit, up = (
        meant(kind, value, source=source) for kind, value in (("correction", "42"), ("edit", "42"), ("thumbs", 1))
    )

    assert fix is not None
    assert edit is not None
    assert up is not None
    assert min(fix.confidence, edit.confidence) >= up.confidence


@pytest.mark.parametrize(
    ("kind", "value", "strength", "text", "worse"),
    [
        ("thumbs", 1, 1.0, None, None),
        ("rating", 2, -0.5, None, None),
        ("rating", 3, 0.0, None, None),
        ("metric", 0.75, 0.5, None, None),
        ("correction", "42", -1.0, "42", None),
        ("correction", "41", 1.0, None, None),
        ("edit", "42", -1.0, "42", None),
        ("edit", "41", 1.0, None, None),
        ("preference", {"chosen": 1, "rejected": 0}, -0.5, "42", "41"),
        ("preference", {"chosen": 0, "rejected": 2}, 0.5, "41", "about 40"),
        ("preference", {"chosen": "a", "rejected": "b"}, 0.0, "a", "b"),
        ("accept", None, 1.0, None, None),
        ("copy", "4", 1.0, None, None),
        ("regenerate", True, -1.0, None, None),
        ("abandon", True, -1.0, None, None),
        ("follow_up", None, -0.5, None, None),
    ],
)
def test_a_value_is_read_as(kind: Any, value: Any, strength: float, text: str | None, worse: str | None):
    signal = meant(kind, value)

    assert signal is not None
    assert (signal.strength, signal.text, signal.worse) == (strength, text, worse)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("comment", "nice"),
        ("correction", " \n"),
        ("correction", None),
        ("edit", ""),
        ("preference", {"chosen": 7, "rejected": 0}),
        ("preference", {"chosen": "a", "rejected": " a"}),
        ("preference", {"chosen": None, "rejected": None}),
        ("preference", None),
        ("rating", float("nan")),
        ("metric", "high"),
        ("thumbs", None),
    ],
)
def test_what_says_nothing_is_none(kind: Any, value: Any):
    assert meant(kind, value) is None


@pytest.mark.parametrize("scale", [None, [5], [5, 1], ["a", "b"], "1-5"])
def test_a_rating_without_a_scale_says_nothing(scale: Any):
    assert read(said("f", "rating", 3, metadata={"scale": scale}), ASKED) is None


def test_a_regeneration_names_what_was_asked_for_instead():
    by = said("f", "regenerate", True, metadata={"by": "e2"})
    instead = [read(row, ASKED) for row in (by, replace(by, metadata={"by": 3}), replace(by, kind="abandon"))]

    assert [signal and signal.instead for signal in instead] == ["e2", None, None]


@pytest.mark.parametrize("response", [None, {}, {"choices": 3}, {"choices": [3, {"message": "x"}, {"message": {}}]}])
def test_an_answer_that_is_none_is_equal_to_no_correction(response: Any):
    signal = read(said("f", "correction", "42"), replace(ASKED, response=response))

    assert signal is not None
    assert (signal.strength, signal.text) == (-1.0, "42")


@pytest.mark.parametrize(
    ("endpoint", "response"),
    [
        ("completions", {"choices": [{"index": 0, "text": "42"}]}),
        ("responses", {"output": [{"type": "message", "content": [{"text": "4"}, {"text": "2"}]}]}),
    ],
)
def test_the_answer_is_found_at_every_endpoint(endpoint: Any, response: Any):
    signal = read(said("f", "edit", "42"), replace(ASKED, endpoint=endpoint, response=response))

    assert signal is not None
    assert signal.strength == 1.0


def test_feedback_of_any_choice_is_held_against_that_choice():
    assert [meant("correction", "42", choice=choice).strength for choice in (0, 1, 9)] == [-1.0, 1.0, -1.0]  # type: ignore[union-attr]


def test_readers_do_not_change_what_they_read():
    row = Feedback("f", 1.0, "preference", {"chosen": 1, "rejected": 0}, "e")

    read(row, ASKED)

    assert row == Feedback("f", 1.0, "preference", {"chosen": 1, "rejected": 0}, "e")
