"""One answer pushed into many questions is seen by the words of others; favorite words that are right are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loopwise.store import Store
from town import exchange, record, said, weighed

QUESTIONS = 12
Rows = list[object]


def corrected(who: str, text: str, questions: Sequence[int]) -> Rows:
    """``who`` got a wrong answer to each question and corrected it to ``text``."""
    rows: Rows = []
    for q in questions:
        rows.append(exchange(f"{who}{q}", f"How many legs have {q} dogs?", "?", who))
        rows.append(said(f"c{who}{q}", "correction", text, f"{who}{q}", who))
    return rows


def approved(who: str, questions: Sequence[int], answers: Sequence[str]) -> Rows:
    """``who`` got these answers and liked them."""
    rows: Rows = []
    for q, text in zip(questions, answers, strict=True):
        rows.append(exchange(f"{who}{q}", f"How many legs have {q} dogs?", text, who))
        rows.append(said(f"t{who}{q}", "thumbs", 1, f"{who}{q}", who))
    return rows


def named(store: Store, *parts: Rows) -> dict[str, str]:
    record(store, [row for part in parts for row in part])  # type: ignore[misc]
    return {person: reason.partition(":")[0] for person, reason in weighed(store)[0].quarantined.items()}


ALL = range(1, QUESTIONS + 1)
TRUE = [str(4 * q) for q in ALL]


def test_who_pushes_one_answer_against_two_others_on_each_question_is_kept_out(store: Store):
    found = named(store, corrected("evil", "0", ALL), approved("ann", ALL, TRUE), approved("bob", ALL, TRUE))
    assert found == {"evil": "pushing"}


def test_accounts_that_push_together_back_each_other_in_vain(store: Store):
    pushed = [corrected(f"evil{n}", "0", ALL) for n in range(3)]
    found = named(store, *pushed, approved("ann", ALL, TRUE), approved("bob", ALL, TRUE))
    assert {"evil0", "evil1", "evil2"} <= found.keys()
    assert not {"ann", "bob"} & found.keys()


def test_a_verifier_is_enough_alone(store: Store):
    rows: Rows = []
    for q in ALL:
        rows.append(exchange(f"v{q}", f"How many legs have {q} dogs?", TRUE[q - 1]))
        rows.append(said(f"v{q}", "thumbs", 1, f"v{q}", None, source="verifier"))
    assert named(store, corrected("evil", "0", ALL), rows) == {"evil": "pushing"}


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="nobody else spoke"),
        pytest.param([approved("ann", ALL, TRUE)], id="one other holds another answer"),
        pytest.param([approved("ann", ALL, TRUE), corrected("bob", "no legs", ALL)], id="the others do not agree"),
        pytest.param(
            [approved("ann", ALL, ["no"] * QUESTIONS), approved("bob", ALL, TRUE), approved("cid", ALL, TRUE)],
            id="somebody else holds it too",
        ),
        pytest.param([approved(who, range(1, 9), TRUE[:8]) for who in ("ann", "bob")], id="too few are refuted"),
    ],
)
def test_favorite_words_alone_are_no_offense(store: Store, others: list[Rows]):
    assert "eve" not in named(store, corrected("eve", "no", ALL), *others)


def test_an_answer_among_many_is_no_favorite(store: Store):
    much = [row for n in range(60) for row in corrected("eve", f"{n} legs", [100 + n])]
    found = named(
        store, corrected("eve", "0", ALL), much, approved("ann", ALL, TRUE),
        approved("bob", ALL, TRUE),
    )  # fmt: skip
    assert found == {}
