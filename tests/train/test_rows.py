from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from loopwise.errors import TrainingError
from loopwise.train import rows
from loopwise.train.masking import Masker

from .conftest import example


@pytest.fixture
def tokenizer(parent):
    return AutoTokenizer.from_pretrained(parent.path)


def read(dataset, tokenizer, max_length: int = 100) -> rows.Rows:
    return rows.read(dataset.path, Masker(tokenizer, frozenset({tokenizer.eos_token_id})), max_length)


def test_a_row_says_what_it_teaches(tokenizer, write_dataset):
    found = read(write_dataset([example("ab", "ba", "pair", rejected="bb", weight=0.5)]), tokenizer)

    (row,) = found.rows
    assert row.kind == "pair"
    assert tokenizer.decode(row.answer.ids[row.answer.start :]) == "ba<|im_end|>"
    assert tokenizer.decode(row.rejected.ids[row.rejected.start :]) == "bb<|im_end|>"
    assert row.answer.ids[: row.answer.start] == row.rejected.ids[: row.rejected.start]
    assert row.answer.weight == row.rejected.weight == 0.5


def test_rows_of_one_prompt_share_its_hash_and_others_do_not(tokenizer, make_dataset):
    found = read(make_dataset([("a", "1"), ("a", "2"), ("b", "1")]), tokenizer).rows

    assert sorted(len([row for row in found if row.prompt == other.prompt]) for other in found) == [1, 2, 2]


def test_what_cannot_be_learned_is_left_out_and_counted(tokenizer, write_dataset):
    call = {"type": "function", "function": {"name": "f", "arguments": "{not json"}}
    dataset = write_dataset(
        [
            example("a", "b"),
            example("a" * 200, "b"),
            example("c", "d", weight=0.0),
            example("e", "", tool_calls=(call,)),
        ]
    )

    found = read(dataset, tokenizer)

    assert len(found.rows) == 1
    assert found.left_out == {"too long": 1, "no weight": 1, "tool arguments are no JSON object": 1}


def test_a_few_conversations_that_the_template_refuses_are_left_out(tokenizer, write_dataset):
    tokenizer.chat_template = "{% if messages[0].content == 'odd' %}{{ raise_exception('no') }}{% endif %}" + (
        tokenizer.chat_template
    )
    many = [example(f"q{i}", "a") for i in range(19)]

    found = read(write_dataset([*many, example("odd", "a")]), tokenizer)

    assert (len(found.rows), found.left_out) == (19, {"the template refuses it": 1})
    with pytest.raises(
        TrainingError, match=r"3 of the 22 rows .* fails \(TemplateError\) on a conversation of the"
    ) as e:
        read(write_dataset([*many, *(example("odd", f"a{i}") for i in range(3))]), tokenizer)
    assert "odd" not in str(e.value)  # what people wrote is in no sentence
