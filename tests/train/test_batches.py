from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from loopwise.train.batches import Batches, schedule
from loopwise.train.rows import TokenRow


def test_no_row_is_more_than_two_ahead_of_another():
    plan_SB = schedule([5] * 100, batch=16, steps=20, seed=3)  # 320 places for 100 rows

    seen = Counter(plan_SB.ravel().tolist())

    assert plan_SB.shape == (20, 16)
    assert set(seen) == set(range(100))
    assert max(seen.values()) - min(seen.values()) <= 2


def test_rows_of_like_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(10, 100, 1_280)

    spread = [np.ptp(lengths[batch]) for batch in schedule(lengths, batch=64, steps=20, seed=0)]

    assert np.mean(spread) < 10  # 20 sorted batches over a range of 90: 4.5 each; unsorted it would be about 88


def test_a_dataset_smaller_than_a_batch_fills_it_by_repetition():
    plan_SB = schedule([3, 4, 5], batch=8, steps=2, seed=0)

    assert Counter(plan_SB.ravel().tolist()).keys() == {0, 1, 2}


def test_the_schedule_depends_on_the_seed_alone():
    lengths = list(range(100))

    assert (schedule(lengths, 10, 10, seed=1) == schedule(lengths, 10, 10, seed=1)).all()
    assert (schedule(lengths, 10, 10, seed=1) != schedule(lengths, 10, 10, seed=2)).any()


def test_labels_cover_the_answer_and_nothing_else():
    rows = [TokenRow((5, 6, 7, 8), start=2, weight=1.0), TokenRow((9, 4), start=1, weight=0.5)]

    batch = Batches(rows, np.array([[0, 1]]), pad_id=0)[0]

    assert batch["input_ids"].tolist() == [[5, 6, 7, 8], [9, 4, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 7, 8], [-100, 4, -100, -100]]
    assert batch["weights"].tolist() == [1.0, 0.5]


def test_padding_changes_no_logit_without_an_attention_mask(parent):
    model = AutoModelForCausalLM.from_pretrained(parent.path)
    rows = [TokenRow(tuple(range(10, 40)), 5, 1.0), TokenRow(tuple(range(50, 62)), 4, 1.0)]
    batch = Batches(rows, np.array([[0, 1]]), pad_id=0)[0]

    with torch.no_grad():
        together = model(input_ids=batch["input_ids"]).logits[1, :12]
        alone = model(input_ids=torch.arange(50, 62)[None]).logits[0]

    torch.testing.assert_close(together, alone)
