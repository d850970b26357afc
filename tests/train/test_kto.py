from __future__ import annotations

from math import exp

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer

from loopwise.train import RunSettings, rows
from loopwise.train.kto import KTO, balanced, mismatched
from loopwise.train.masking import Masker
from loopwise.train.rows import Row, TokenRow

from .conftest import answer_logp, example, moved

BETA = 0.1
SETTINGS = RunSettings(batch=4)
SAID = [
    example("ab", "yes", "approved"),
    example("cd", "longer answer", "refused"),
    example("ef", "1", "refused", weight=0.5),
    example("gh", "anchored", "anchor"),
]


@pytest.fixture
def tokenizer(parent):
    return AutoTokenizer.from_pretrained(parent.path)


def chosen_of(write_dataset, tokenizer, said):
    masker = Masker(tokenizer, frozenset({tokenizer.eos_token_id}))
    return KTO.chosen(rows.read(write_dataset(said).path, masker, 100).rows)


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def texts(tokenizer, row: TokenRow) -> tuple[str, str]:
    """Question and answer of a row."""
    whole = tokenizer.decode(row.ids)
    return whole.split("user\n")[1][:2], whole.split("assistant\n")[1].removesuffix("<|im_end|>")


def test_the_loss_of_a_batch_is_the_one_of_the_paper(parent, made_with, write_dataset, tokenizer, tmp_path):
    marked = KTO.planned(chosen_of(write_dataset, tokenizer, SAID), SETTINGS, made_with, 1)
    model, base = moved(parent), AutoModelForCausalLM.from_pretrained(parent.path)
    trainer = KTO.build(model, tokenizer, marked, SETTINGS, tmp_path)

    def ratio(row: TokenRow) -> float:
        pair = texts(tokenizer, row)
        return sum(answer_logp(model, tokenizer, *pair)) - sum(answer_logp(base, tokenizer, *pair))

    z = max(0.0, sum(ratio(row) for row in marked.others) / 4)
    total = weight = 0.0
    for row in marked.rows:
        question, _ = texts(tokenizer, row)
        sign = 1 if question in ("ab", "gh") else -1
        # good answers weigh 2 in all and bad ones 1.5, so each bad one counts 2 / 1.5 times its own weight
        own = {"ab": 1.0, "gh": 1.0, "cd": 4 / 3, "ef": 2 / 3}[question]
        total += own * (1 - sigmoid(sign * BETA * (ratio(row) - z)))
        weight += own

    with torch.no_grad():
        loss = trainer.batch_loss(model, marked.of(np.arange(4)))

    assert loss.item() == pytest.approx(total / weight, rel=1e-4)


def test_at_unit_weights_the_loss_is_trls_own(parent, made_with, write_dataset, tokenizer, tmp_path):
    """KTOTrainer's own computation, which the subclass replaces, on its own padded and masked batch."""
    chosen = chosen_of(write_dataset, tokenizer, SAID)
    marked = KTO.planned(chosen, SETTINGS, made_with, 1)
    trainer = KTO.build(moved(parent, seed=3), tokenizer, marked, SETTINGS, tmp_path)
    examples = [
        {
            "prompt_ids": list(row.ids[: row.start]),
            "completion_ids": list(row.ids[row.start :]),
            "label": bool(marked.good[at]),
            "KL_completion_ids": list(marked.others[at].ids[row.start :]),
            "ref_logps": marked.logps[at].item(),
            "ref_KL_logps": marked.other_logps[at].item(),
        }
        for at, row in enumerate(marked.rows)
    ]
    batch = DataCollatorForUnpairedPreference(pad_token_id=256)(examples)

    with torch.no_grad():
        own = KTOTrainer._compute_loss(trainer, trainer.model, batch, False)
        ours = trainer.row_losses(trainer.model, marked.of(np.arange(4))).mean()

    assert ours.item() == pytest.approx(own.item(), rel=1e-4)


def test_a_pair_is_one_good_and_one_bad_answer_and_anchors_are_good(made_with, write_dataset, tokenizer):
    said = [example("ab", "yes", "pair", rejected="no"), example("gh", "anchored", "anchor")]

    marked = KTO.planned(chosen_of(write_dataset, tokenizer, said), SETTINGS, made_with, 1)

    found = {texts(tokenizer, row): bool(good) for row, good in zip(marked.rows, marked.good, strict=True)}
    assert found == {("ab", "yes"): True, ("ab", "no"): False, ("gh", "anchored"): True}


def test_the_rarer_mark_counts_as_much_as_the_other_but_no_row_more_than_four_times():
    def marks(good: int, bad: int) -> list[Row]:
        kinds = ["approved"] * good + ["refused"] * bad
        return [Row(kind, str(at), TokenRow((1, 2), 1, 0.5)) for at, kind in enumerate(kinds)]

    assert balanced(marks(3, 1)) == [0.5, 0.5, 0.5, 1.5]
    assert balanced(marks(1, 2)) == [1.0, 0.5, 0.5]
    assert balanced(marks(10, 1))[-1] == 2.0


def test_each_prompt_gets_the_answer_of_another_row():
    made = [Row("approved", str(i), TokenRow((i, 10 + i, 20 + i), 1, 1.0)) for i in range(6)]

    others = mismatched(made, max_length=2, seed=0)

    assert [row.ids[0] for row in others] == list(range(6))
    assert sorted(row.ids[1] for row in others) == [10, 11, 12, 13, 14, 15]
    assert all(row.ids[1] != 10 + i and len(row.ids) == 2 and row.start == 1 for i, row in enumerate(others))
