from __future__ import annotations

import hashlib

import numpy as np

from loopwise.train.held_out import clearly_worse, split
from loopwise.train.rows import Row, TokenRow


def made(n: int, prompt=str) -> list[Row]:
    return [Row("practice", hashlib.sha256(prompt(i).encode()).hexdigest(), TokenRow((1, 2), 1, 1.0)) for i in range(n)]


def test_a_twentieth_is_held_out_and_never_more_than_256():
    assert [len(split(made(n))[1]) for n in (100, 1_000, 10_000)] == [5, 50, 256]


def test_a_small_dataset_keeps_every_row_to_train_on():
    rows = made(80)

    assert split(rows) == (rows, [])


def test_no_prompt_is_on_both_sides():
    trained, held = split(made(1_000, lambda i: str(i // 3)))

    assert len(trained) + len(held) == 1_000
    assert 50 <= len(held) <= 53
    assert not {row.prompt for row in trained} & {row.prompt for row in held}


def test_the_split_depends_on_the_rows_and_not_on_their_order():
    rows = made(400)

    assert {row.prompt for row in split(rows)[1]} == {row.prompt for row in split(rows[::-1])[1]}


def test_one_prompt_with_very_many_answers_is_not_held_out():
    rows = made(200, lambda i: "same" if i < 150 else str(i))

    trained, held = split(rows)

    assert not held or len({row.prompt for row in held}) > 1
    assert len(trained) >= 180


def test_the_last_check_is_clearly_worse_by_a_quarter_and_beyond_chance_alone():
    best = np.tile([0.5, 1.5], 50)  # mean 1

    assert clearly_worse(best + 0.3, best)
    assert not clearly_worse(best + 0.2, best)  # no quarter
    noise = np.tile([3.0, -2.4], 50)  # mean 0.3, standard error 2.71 / 10
    assert not clearly_worse(best + noise, best)
