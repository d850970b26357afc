from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from loopwise.errors import TrainingError
from loopwise.train import rows


@pytest.fixture
def tokenizer(parent):
    return AutoTokenizer.from_pretrained(parent.path)


def test_the_answer_begins_after_the_generation_prompt(tokenizer, make_dataset):
    (row,) = rows.read(make_dataset([("ab", "ba")]).path, tokenizer, max_length=100).rows

    assert tokenizer.decode(row.ids[: row.start]) == "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(row.ids[row.start :]) == "ba<|im_end|>\n"


def test_a_row_that_is_too_long_is_left_out_and_counted(tokenizer, make_dataset):
    dataset = make_dataset([("a", "b"), ("a" * 200, "b")])

    read = rows.read(dataset.path, tokenizer, max_length=100)

    assert (len(read.rows), read.too_long) == (1, 1)


def test_a_template_that_renders_the_prompt_alone_differently_is_refused(tokenizer, make_dataset):
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n{% endif %}", "assistant\n<think>{% endif %}")

    with pytest.raises(TrainingError, match=r"does not render a prompt as the beginning.*<think>"):
        rows.read(make_dataset([("a", "b")]).path, tokenizer, max_length=100)


def test_a_model_without_a_template_is_refused(tokenizer, make_dataset):
    tokenizer.chat_template = None

    with pytest.raises(TrainingError, match="no chat template"):
        rows.read(make_dataset([("a", "b")]).path, tokenizer, max_length=100)


@pytest.mark.parametrize("pairs", [[], [("a" * 200, "b")]])
def test_a_dataset_with_nothing_to_learn_is_refused(tokenizer, make_dataset, pairs):
    with pytest.raises(TrainingError, match="nothing to learn from"):
        rows.read(make_dataset(pairs).path, tokenizer, max_length=100)
