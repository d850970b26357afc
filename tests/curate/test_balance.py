from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from loopwise.curate.balance import balance, most_of_each
from loopwise.curate.ledger import Ledger


def rows(example, **segments):
    return [
        example(f"{name}{i}", "a", kind="approved", user=f"u{i}", segment=name.rstrip("_"))
        for name, n in segments.items()
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("sizes", "n_other", "share", "most"),
    [
        ([], 0, 0.5, 0),
        ([7], 0, 0.5, 7),  # a single segment is not cut
        ([10, 2], 0, 0.5, 2),
        ([10, 2], 0, 0.8, 8),  # 8 of 10
        ([10, 2], 0, 0.9, 10),  # 10 of 12 are 0.83
        ([10, 4, 4], 0, 0.5, 8),  # 8 of 16
        ([10, 2], 8, 0.5, 10),  # 10 of 20
        ([100, 2], 8, 0.5, 10),
        ([5, 5, 5], 0, 0.3, 5),  # an equal part for each is the best there is
        ([9, 5, 3], 0, 0.1, 3),
        ([4, 4], 0, 0.5, 4),
    ],
)
def test_the_bound_worked_by_hand(sizes, n_other, share, most):
    assert most_of_each(sizes, n_other, share) == most


def test_the_bound_is_the_largest_that_works():
    for sizes in ([1, 2, 30], [3, 3, 4, 50], [8, 9, 10], [1, 1, 1, 1]):
        for n_other in (0, 5):
            for share in (0.26, 0.4, 0.5, 0.75):
                reachable = max(share, 1 / len(sizes)) + 1e-9
                fits = [
                    c
                    for c in range(max(sizes) + 1)
                    if min(c, max(sizes)) <= reachable * (sum(min(n, c) for n in sizes) + n_other)
                ]
                assert most_of_each(sizes, n_other, share) == max(fits), (sizes, n_other, share)


def test_no_segment_is_more_than_its_share(example):
    ledger = Ledger()

    kept = Counter(row.segment for row in balance(rows(example, law=30, food=6, sport=3), ledger, 0.5))

    assert kept == {"law": 9, "food": 6, "sport": 3}
    assert ledger.rows()[0]["count"] == 21


def test_who_stays_does_not_depend_on_who_came_first(example):
    found = rows(example, law=30, food=6)

    one, other = ({row.provenance for row in balance(given, Ledger(), 0.5)} for given in (found, found[::-1]))

    assert one == other
    assert len(one) == 12


def test_practice_and_what_names_no_segment_are_not_cut(example):
    practice = [example(f"p{i}", "a", segment="law") for i in range(50)]

    kept = list(balance([*practice, *rows(example, law=30, food=2, _=9)], Ledger(), 0.5))

    assert Counter((row.segment, row.user is None) for row in kept) == {
        ("law", True): 50,
        ("law", False): 11,  # of 11 + 2 + 9
        ("food", False): 2,
        ("", False): 9,
    }
    assert len(list(balance(rows(example, law=3, food=2, _=50), Ledger(), 0.5))) == 55


def test_one_segment_alone_is_left_as_it_is(example, answers):
    assert len(answers(partial(balance, share=0.1), rows(example, law=30))[0]) == 30


def test_a_tiny_segment_does_not_shrink_its_neighbor_to_its_own_size(example):
    kept = balance(rows(example, law=300, food=1), Ledger(), 0.5, fewest=100)
    assert Counter(row.segment for row in kept) == {"law": 100, "food": 1}
