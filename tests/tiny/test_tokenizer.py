from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from loopwise.practice.sources import PRACTICE, problems
from loopwise.tiny import MODEL, tokenizer
from loopwise.tiny.families import FAMILIES, phrases

SHIPPED: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(MODEL)
TEXTS = st.text() | st.lists(st.sampled_from([*phrases(), "12", "ant", " ", "\n", "é"])).map("".join)
TURNS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXTS}), min_size=1
)


@given(TEXTS)
def test_the_tokenizer_loses_nothing_of_any_text(text: str) -> None:
    ids = SHIPPED.encode(text, add_special_tokens=False)
    if not any(special in text for special in tokenizer.SPECIALS):
        assert SHIPPED.decode(ids) == text
        assert SHIPPED.decode(ids, skip_special_tokens=True) == text


@given(TURNS, TEXTS)
def test_a_prompt_is_a_prefix_of_prompt_and_completion(prompt: list[dict[str, str]], answer: str) -> None:
    completion = [{"role": "assistant", "content": answer}]
    asked = SHIPPED.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
    whole = SHIPPED.apply_chat_template(prompt + completion, return_dict=False)
    assert whole[: len(asked)] == asked
    assert whole[-1] == SHIPPED.eos_token_id
    assert SHIPPED.decode(whole[len(asked) : -1]) == answer.replace("<|", "< |")


@given(TURNS)
def test_only_the_template_writes_special_tokens(turns: list[dict[str, str]]) -> None:
    ids = SHIPPED.apply_chat_template(turns, return_dict=False)
    specials = [i for i in ids if i in SHIPPED.all_special_ids]
    assert len(specials) == len(turns) + sum(turn["role"] == "assistant" for turn in turns)


@pytest.mark.parametrize("turn", [{"role": "tool", "content": ""}, {"role": "user", "content": ["x"]}])
def test_other_roles_and_contents_are_refused(turn: dict) -> None:
    with pytest.raises(Exception, match=r"is not one of system, user, assistant|must be a string"):
        SHIPPED.apply_chat_template([turn])


def test_letters_and_digits_are_single_tokens_and_phrases_one() -> None:
    assert SHIPPED.tokenize("zebra42") == list("zebra42")
    assert all(len(SHIPPED.encode(phrase)) == 1 for phrase in phrases())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_questions_and_answers_are_short(family) -> None:
    for problem in islice(problems(family.source, 0, PRACTICE), 100):
        assert len(SHIPPED.encode(problem.messages[0]["content"])) <= 20
        assert len(SHIPPED.encode(problem.reference)) <= 14


def test_the_shipped_tokenizer_is_the_one_that_the_recipe_builds(tmp_path: Path) -> None:
    tokenizer.write(tokenizer.build(), tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / name).read_bytes() == (MODEL / name).read_bytes()
