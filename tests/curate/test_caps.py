from __future__ import annotations

from functools import partial

from loopwise.curate.caps import cap_per_group, cap_per_person, cap_per_prompt, cap_per_window
from loopwise.curate.quarantine import drop_quarantined


def said_by(example, users):
    return [example("q", str(i), user=user) for i, user in enumerate(users)]


def test_a_prompt_counts_at_most_so_often(example, answers):
    rows = [example("q", "a"), example("Q", "b"), example("q", "c"), example("p", "d")]

    assert answers(partial(cap_per_prompt, most=2), rows)[0] == ["a", "b", "d"]


def test_pairs_and_refusals_of_a_prompt_are_counted_apart(example, answers):
    rows = [example("q", "a"), example("q", "b", kind="refused"), example("q", "c", kind="pair", rejected="b")]

    assert answers(partial(cap_per_prompt, most=1), [*rows, *rows])[0] == ["a", "b", "c"]


def test_a_person_counts_at_most_so_often_and_practice_without_limit(example, answers):
    rows = said_by(example, ["u", "v", "u", None, "u", None, None])

    assert answers(partial(cap_per_person, most=2), rows)[0] == ["0", "1", "2", "3", "5", "6"]


def test_a_group_counts_as_often_as_its_members_together(example, answers):
    rows = said_by(example, ["a", "b", "c", None, "a", "d"])
    groups = {"a": "ring", "b": "ring", "c": "ring", "d": "other"}

    kept, ledger = answers(partial(cap_per_group, most=2, groups=groups), rows)

    assert kept == ["0", "1", "3", "5"]
    assert ledger.rows()[0]["reason"] == "2 examples of this group of accounts came before"


def test_a_window_counts_people_at_most_so_often(example, answers):
    hours = [0.0, 1.0, 23.99, 24.0, 25.0, 47.9, 100.0]
    rows = [example("q", str(hour), user=f"u{hour}", at=3_600 * hour) for hour in hours]

    kept, _ = answers(partial(cap_per_window, most=2, hours=24.0), [*rows, example("q", "practice")])

    assert kept == ["0.0", "1.0", "24.0", "25.0", "100.0", "practice"]


def test_people_in_quarantine_are_kept_out_with_the_reason(example, answers):
    kept, ledger = answers(
        partial(drop_quarantined, quarantined={"u": "a burst of 80 marks"}), said_by(example, ["u", "v", None])
    )

    assert kept == ["1", "2"]
    assert ledger.rows()[0]["reason"] == "its person is in quarantine: a burst of 80 marks"
