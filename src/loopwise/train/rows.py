# pyright: basic
"""Parquet rows → tokens, through the model's own chat template; the loss is on the answer alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from loopwise.errors import TrainingError
from loopwise.types import Message

_TOKENIZED_AT_ONCE = 1_000


@dataclass(frozen=True)
class TokenRow:
    """One example: ``ids`` of prompt and answer together; the answer begins at ``start``."""

    ids: tuple[int, ...]
    start: int
    weight: float


@dataclass(frozen=True)
class TokenRows:
    rows: tuple[TokenRow, ...]
    too_long: int  # rows left out because they exceed the length limit


def read(dataset: Path, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenRows:
    """Tokenizes every row of a dataset that ``curate`` wrote.

    Raises TrainingError when the template does not render a prompt as the beginning of prompt and answer (the model
    would be trained on a context that it never sees when it serves), and when no row is left to learn from.
    """
    table = pq.read_table(dataset, columns=["prompt", "completion", "weight"]).to_pydict()
    rows: list[TokenRow] = []
    for begin in range(0, len(table["prompt"]), _TOKENIZED_AT_ONCE):
        part = slice(begin, begin + _TOKENIZED_AT_ONCE)
        ids = tokenize(tokenizer, table["prompt"][part], table["completion"][part])
        rows += [TokenRow(*row, weight) for row, weight in zip(ids, table["weight"][part], strict=True)]
    usable = tuple(row for row in rows if len(row.ids) <= max_length and row.start < len(row.ids) and row.weight > 0)
    if not usable:
        raise TrainingError(
            f"There is nothing to learn from in {dataset.name}: of its {len(rows)} rows none has an answer, a weight "
            f"above 0 and at most {max_length} tokens. Gather more feedback or practice, or raise the limit."
        )
    return TokenRows(usable, sum(len(row.ids) > max_length for row in rows))


def tokenize(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[Message]], completions: Sequence[list[Message]]
) -> list[tuple[tuple[int, ...], int]]:
    """Token ids of prompt and answer, and where the answer begins, for each pair."""
    if not prompts:
        return []
    if tokenizer.chat_template is None:
        raise TrainingError("The model's tokenizer has no chat template: add chat_template.jinja to the model folder.")
    whole = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
    prompt_ids = _render(tokenizer, list(prompts), generation_prompt=True)
    whole_ids = _render(tokenizer, whole, generation_prompt=False)
    for prompt, ids in zip(prompt_ids, whole_ids, strict=True):
        if ids[: len(prompt)] != prompt:
            raise TrainingError(
                "The chat template does not render a prompt as the beginning of prompt and answer: the prompt alone "
                f"ends with {tokenizer.decode(prompt[-12:])!r}, which the whole lacks at this place. Use a template "
                "whose generation prompt is exactly how an assistant message begins."
            )
    return [(tuple(ids), len(prompt)) for prompt, ids in zip(prompt_ids, whole_ids, strict=True)]


def _render(tokenizer: PreTrainedTokenizerBase, chats: list[Any], generation_prompt: bool) -> list[list[int]]:
    texts: Any = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=generation_prompt)
    return tokenizer(texts, add_special_tokens=False)["input_ids"]
