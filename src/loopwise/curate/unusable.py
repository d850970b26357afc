"""Drops what no model can be trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loopwise.curate.ledger import Ledger
from loopwise.types import Example

STEP = "unusable"


def drop_unusable(examples: Iterable[Example], ledger: Ledger, max_characters: int) -> Iterator[Example]:
    """Drops examples without an answer, without a question, with content that is no text, or that are too long."""
    for example in examples:
        reason = _reason(example, max_characters)
        if reason:
            ledger.drop(STEP, reason, example)
        else:
            yield example


def _reason(example: Example, max_characters: int) -> str | None:
    contents = [message.get("content") for message in example.messages]
    if not all(isinstance(content, str) for content in contents):
        return "a message holds no plain text"
    if not any(message["role"] == "user" and message["content"].strip() for message in example.messages):
        return "nothing is asked"
    if example.messages[-1]["role"] == "assistant":
        return "the prompt ends with an answer"
    if not example.completion.strip():
        return "the answer is empty"
    if sum(len(str(content)) for content in contents) + len(example.completion) > max_characters:
        return f"longer than {max_characters} characters"
    return None
