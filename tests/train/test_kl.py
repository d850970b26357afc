from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from loopwise.errors import TrainingError
from loopwise.train import RunSettings, kl, train
from loopwise.train.rows import TokenRow
from loopwise.train.watch import trained

from .conftest import example, moved, silent

SAID = [example(f"q{i}", f"answer {i}") for i in range(16)]


@pytest.fixture
def rows(parent) -> list[TokenRow]:
    tokenizer = AutoTokenizer.from_pretrained(parent.path)
    texts = [
        ("<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n", "yes<|im_end|>"),
        ("x", "a longer answer<|im_end|>"),
    ]
    heads = [tokenizer(head)["input_ids"] for head, _ in texts]
    return [
        TokenRow(tuple(head + tokenizer(tail)["input_ids"]), len(head), 1.0)
        for head, (_, tail) in zip(heads, texts, strict=True)
    ]


def test_the_divergence_is_the_mean_over_answer_tokens_and_the_whole_vocabulary(parent, rows):
    base, model = AutoModelForCausalLM.from_pretrained(parent.path), moved(parent)
    total, n = 0.0, 0
    for row in rows:
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            p, q = (m(input_ids=ids).logits[0].softmax(-1) for m in (model, base))
        for at in range(row.start - 1, len(row.ids) - 1):
            total += sum(a * (a / b).log() for a, b in zip(p[at], q[at], strict=True)).item()
            n += 1

    distance = kl.Distance(base, rows, batch=2, pad_id=256)

    assert distance.tokens == n == 20
    assert distance.mean(model) == pytest.approx(total / n, rel=1e-3)
    assert distance.mean(base) == pytest.approx(0.0, abs=1e-9)


def test_what_is_kept_of_the_parent_is_bounded(parent, rows):
    base = AutoModelForCausalLM.from_pretrained(parent.path)

    distance = kl.Distance(base, rows * 1_000, batch=32, pad_id=256)

    assert 2_048 <= distance.tokens < 2_048 + 16
    assert sum(logps.numel() for logps in distance.logps) == distance.tokens * base.config.vocab_size


def test_a_model_beyond_the_limit_goes_back_toward_its_parent_as_far_as_needed(parent, rows):
    base, model = AutoModelForCausalLM.from_pretrained(parent.path), moved(parent)
    distance = kl.Distance(base, rows, batch=2, pad_id=256)
    far = distance.mean(model)
    end = {name: tensor.clone() for name, tensor in trained(model).items()}

    share, reached = kl.bounded(trained(model), lambda: trained(base), lambda: distance.mean(model), far / 4)

    assert 0.95 * far / 4 < reached <= far / 4
    assert 0.3 < share < 0.7  # for small steps the divergence grows with the square of the way: a half
    assert reached == distance.mean(model)
    for name, tensor in trained(model).items():
        torch.testing.assert_close(tensor, torch.lerp(trained(base)[name], end[name], share))


def test_a_model_within_the_limit_stays_as_it_is(parent, rows):
    base, model = AutoModelForCausalLM.from_pretrained(parent.path), moved(parent)
    distance = kl.Distance(base, rows, batch=2, pad_id=256)
    end = {name: tensor.clone() for name, tensor in trained(model).items()}

    share, reached = kl.bounded(trained(model), lambda: trained(base), lambda: distance.mean(model), 1e6)

    assert (share, reached) == (1.0, distance.mean(model))
    assert all(torch.equal(tensor, end[name]) for name, tensor in trained(model).items())


def test_a_limit_that_nothing_fits_is_refused(parent, rows):
    base, model = AutoModelForCausalLM.from_pretrained(parent.path), moved(parent)

    with pytest.raises(TrainingError, match=r"kl_limit is 0.01: raise it"):
        kl.bounded(trained(model), lambda: trained(base), lambda: 1.0, 0.01)


@pytest.mark.parametrize(("weights", "limit"), [("full", 0.05), pytest.param("lora", 0.002, marks=pytest.mark.slow)])
def test_training_is_watched_and_bounded(weights, limit, write_dataset, parent, tmp_path):
    free, bound = (
        train(
            write_dataset(SAID),
            parent,
            tmp_path / name,
            RunSettings(examples=80, batch=16, learning_rate=1e-2, weights=weights, lora_rank=4, kl_limit=kl_limit),
            silent,
        )
        for name, kl_limit in (("free", None), ("bound", limit))
    )

    assert [check["kl"] for check in free.metrics["checks"]] == [check["kl"] for check in bound.metrics["checks"]]
    assert free.metrics["kl"]["measured"] == free.metrics["checks"][-1]["kl"] > 4 * limit
    assert free.metrics["kl"]["share_of_the_way"] == 1.0
    assert 0.8 * limit < bound.metrics["kl"]["measured"] <= limit
    assert 0.0 < bound.metrics["kl"]["share_of_the_way"] < 1.0
    assert parent.fingerprint != bound.fingerprint != free.fingerprint
    rows_of = [said.messages[0]["content"] for said in SAID]
    again = divergence(parent, bound.path, rows_of)
    assert again == pytest.approx(bound.metrics["kl"]["measured"], rel=0.02)  # of the folder that was written


def divergence(parent, path, questions: list[str]) -> float:
    """KL of the saved model from the parent over the answers of ``SAID``, without training's code."""
    tokenizer = AutoTokenizer.from_pretrained(parent.path)
    model, base = (AutoModelForCausalLM.from_pretrained(folder) for folder in (path, parent.path))
    total, n = 0.0, 0
    for question, said in zip(questions, SAID, strict=True):
        head = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        ids = torch.tensor([tokenizer(f"{head}{said.completion}<|im_end|>")["input_ids"]])
        with torch.no_grad():
            p, q = (m(input_ids=ids).logits[0, len(tokenizer(head)["input_ids"]) - 1 : -1] for m in (model, base))
        total += torch.nn.functional.kl_div(
            q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="sum"
        ).item()
        n += len(p)
    return total / n
