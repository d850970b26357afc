from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from loopwise.train import RunSettings, rows
from loopwise.train.dpo import DPO, Pairs
from loopwise.train.masking import Masker
from loopwise.train.method import Chosen

from .conftest import answer_logp, example, moved

BETA = 0.1
SETTINGS = RunSettings(batch=4)
SAID = [
    example("ab", "yes", "pair", rejected="no", weight=1.0),
    example("cd", "longer answer", "pair", rejected="x", weight=0.5),
    example("ef", "1", "pair", rejected="another", weight=2.0),
    example("gh", "anchored", "anchor"),
    example("ij", "shown", "demonstration", weight=0.25),
    example("kl", "bad", "refused"),
]


@pytest.fixture
def tokenizer(parent):
    return AutoTokenizer.from_pretrained(parent.path)


@pytest.fixture
def chosen(write_dataset, tokenizer) -> Chosen:
    masker = Masker(tokenizer, frozenset({tokenizer.eos_token_id}))
    return DPO.chosen(rows.read(write_dataset(SAID).path, masker, 100).rows)


def pair_losses(parent, model, tokenizer) -> dict[str, float]:
    """-log sigmoid(beta times the difference of log-ratios), worked out from full logits, by question."""
    base = AutoModelForCausalLM.from_pretrained(parent.path)
    found = {}
    for said in SAID[:3]:
        question = said.messages[0]["content"]
        ratio = {
            answer: sum(answer_logp(model, tokenizer, question, answer))
            - sum(answer_logp(base, tokenizer, question, answer))
            for answer in (said.completion, said.rejected)
        }
        margin = BETA * (ratio[said.completion] - ratio[said.rejected])
        found[question] = log(1 + exp(-margin))
    return found


def question_of(tokenizer, row: rows.Row) -> str:
    return tokenizer.decode(row.answer.ids).split("user\n")[1][:2]


def test_the_loss_of_a_batch_is_the_weighted_mean_over_pairs(parent, made_with, chosen, tokenizer, tmp_path):
    pairs = DPO.planned(chosen, SETTINGS, made_with, 2)
    model = moved(parent)
    trainer = DPO.build(model, tokenizer, pairs, SETTINGS, tmp_path)
    losses = pair_losses(parent, model, tokenizer)
    weights = {said.messages[0]["content"]: said.weight for said in SAID}

    with torch.no_grad():
        loss = trainer.batch_loss(model, pairs.of(np.arange(3)))

    expected = sum(weights[question] * value for question, value in losses.items()) / 3.5
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    by_question = [losses[question_of(tokenizer, row)] for row in chosen.drawn]
    with torch.no_grad():
        assert trainer.row_losses(model, pairs.of(np.arange(3))).tolist() == pytest.approx(by_question, rel=1e-4)


def test_a_step_adds_the_mean_loss_of_anchors_and_other_answers_to_imitate(
    parent, made_with, chosen, tokenizer, tmp_path
):
    pairs = DPO.planned(chosen, SETTINGS, made_with, 2)
    model = moved(parent)
    trainer = DPO.build(model, tokenizer, pairs, SETTINGS, tmp_path)
    places = pairs.plan[0]

    with torch.no_grad():
        added = trainer.batch_loss(model, pairs[0]) - trainer.batch_loss(model, pairs.of(places))

    anchor, shown = answer_logp(model, tokenizer, "gh", "anchored"), answer_logp(model, tokenizer, "ij", "shown")
    expected = -(sum(anchor) + 0.25 * sum(shown)) / (len(anchor) + 0.25 * len(shown))
    assert added.item() == pytest.approx(expected, rel=1e-3)


def test_at_unit_weights_the_loss_is_trls_own(parent, made_with, chosen, tokenizer, tmp_path):
    """DPOTrainer's own computation, which the subclass replaces, on its own padded and masked batch."""
    pairs = DPO.planned(chosen, SETTINGS, made_with, 2)
    trainer = DPO.build(moved(parent), tokenizer, pairs, SETTINGS, tmp_path)
    examples = [
        {
            "prompt_ids": list(row.answer.ids[: row.answer.start]),
            "chosen_ids": list(row.answer.ids[row.answer.start :]),
            "rejected_ids": list(row.rejected.ids[row.rejected.start :]),
            "ref_chosen_logps": pairs.better_logps[at].item(),
            "ref_rejected_logps": pairs.worse_logps[at].item(),
        }
        for at, row in enumerate(chosen.drawn)
    ]
    batch = DataCollatorForPreference(pad_token_id=256)(examples)

    with torch.no_grad():
        own = DPOTrainer._compute_loss(trainer, trainer.model, batch, False)
        ours = trainer.row_losses(trainer.model, pairs.of(np.arange(3))).mean()

    assert ours.item() == pytest.approx(own.item(), rel=1e-4)


def test_pairs_are_drawn_and_answers_to_imitate_come_along_but_never_refused_ones(chosen):
    assert [row.kind for row in chosen.drawn] == ["pair"] * 3
    assert sorted(row.kind for row in chosen.imitated) == ["anchor", "demonstration"]


def test_anchors_take_part_in_every_step_however_few_they_are(made_with, write_dataset, tokenizer):
    many = [example(f"q{i}", "a", "approved") for i in range(50)]
    masker = Masker(tokenizer, frozenset({tokenizer.eos_token_id}))
    chosen = DPO.chosen(rows.read(write_dataset([*SAID[:4], *many]).path, masker, 100).rows)

    pairs = DPO.planned(chosen, RunSettings(batch=16), made_with, 30)

    kinds = [[chosen.imitated[place].kind for place in step] for step in pairs.imitated_plan]
    assert all(step.count("anchor") == 2 and step.count("approved") == 2 for step in kinds)
    assert isinstance(pairs, Pairs)
