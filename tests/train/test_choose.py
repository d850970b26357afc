from __future__ import annotations

import pytest

from loopwise.errors import TrainingError
from loopwise.train.choose import Held, choose


@pytest.mark.parametrize(
    ("held", "method"),
    [
        (Held(right=5_000, approved=0, refused=0, pairs=0, anchors=500), "sft"),  # practice alone
        (Held(right=5_000, approved=200, refused=100, pairs=300, anchors=500), "sft"),  # mostly practice
        (Held(right=0, approved=50, refused=0, pairs=0, anchors=5), "sft"),  # only thumbs up
        (Held(right=20, approved=10, refused=10, pairs=400, anchors=40), "dpo"),  # preferences, few corrections
        (Held(right=3, approved=0, refused=0, pairs=8, anchors=0), "dpo"),
        (Held(right=10, approved=60, refused=40, pairs=5, anchors=10), "sft"),  # thumbs up and down
        (Held(right=0, approved=0, refused=20, pairs=0, anchors=20), "kto"),  # complaints, with anchors as the good
        (Held(right=4, approved=2, refused=1, pairs=2, anchors=0), "kto"),  # a few of each
    ],
)
def test_the_method_is_chosen_by_what_the_dataset_holds(held, method):
    made = choose(held, "auto")

    assert made.method == method
    assert len(made.reason) > 20


def test_rows_are_counted_by_what_they_teach():
    kinds = ["practice", "demonstration", "approved", "refused", "pair", "pair", "anchor"]

    assert Held.of(kinds) == Held(right=2, approved=1, refused=1, pairs=2, anchors=1)
    assert Held.of(kinds).said == 6


def test_anchors_alone_are_too_little_to_learn_from():
    with pytest.raises(TrainingError, match="7 usable rows besides 100 anchors, and at least 8"):
        choose(Held(right=7, approved=0, refused=0, pairs=0, anchors=100), "auto")


def test_refused_answers_alone_say_nothing_of_what_to_do_instead():
    with pytest.raises(TrainingError, match="9 refused answers and no good one"):
        choose(Held(right=0, approved=0, refused=9, pairs=0, anchors=0), "auto")


@pytest.mark.parametrize(
    ("wanted", "held", "says"),
    [
        ("dpo", Held(right=90, approved=0, refused=0, pairs=7, anchors=0), "holds 7 of the 8"),
        ("kto", Held(right=90, approved=9, refused=0, pairs=0, anchors=0), "holds no bad one"),
        ("sft", Held(right=3, approved=2, refused=90, pairs=2, anchors=9), "holds 7 of the 8"),
    ],
)
def test_a_method_without_its_rows_is_refused(wanted, held, says):
    with pytest.raises(TrainingError, match=says):
        choose(held, wanted)


def test_what_was_asked_for_is_done_where_it_can_be():
    made = choose(Held(right=90, approved=9, refused=1, pairs=8, anchors=0), "dpo")

    assert (made.method, made.reason) == ("dpo", "asked for by [train] method")
