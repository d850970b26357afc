"""Drops what no model can be trained on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopwise.curate.ledger import Ledger
from loopwise.curate.text import same
from loopwise.types import Example

STEP = "unusable"
ROLES = ("system", "developer", "user", "assistant", "tool", "function")

# What chat templates open and close turns with: ChatML, Llama, Phi, Qwen, DeepSeek, Gemma, Mistral, the embedded model.
# A tokenizer makes control tokens of them wherever they stand, so that a text could speak in another's name.
_MARKERS = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<\uff5c[^\uff5c<>\s]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"
)
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def drop_unusable(examples: Iterable[Example], ledger: Ledger, max_characters: int) -> Iterator[Example]:
    """Drops examples that ask nothing or answer nothing, hold anything but text, are too long, or hold what would not
    reach the model as text: NUL, half a surrogate pair, a marker of a chat template.

    Markers are dropped whatever the model is: the embedded model's own template takes them apart, others' do not.
    """
    for example in examples:
        reason = _reason(example, max_characters)
        if reason:
            ledger.drop(STEP, reason, example)
        else:
            yield example


def _reason(example: Example, max_characters: int) -> str | None:
    contents: list[Any] = [message.get("content") for message in example.messages]
    if shape := _shape(example, contents):
        return shape
    texts = [*contents, example.completion, example.rejected or ""]
    if sum(map(len, texts)) > max_characters:
        return f"longer than {max_characters} characters"
    whole = "\n".join([*texts, *_called(example)])
    if _NO_TEXT.search(whole):
        return "holds NUL or half a surrogate pair, which are no text"
    if _MARKERS.search(whole):
        return "holds a marker of a chat template, which would not reach the model as text"
    return None


def _shape(example: Example, contents: list[Any]) -> str | None:
    if any(isinstance(content, list) for content in contents):
        return "a message holds parts that are no text, such as an image"
    if not all(isinstance(content, str) for content in contents):
        return "a message holds no plain text"
    roles = [message["role"] for message in example.messages]
    if any(role not in ROLES for role in roles):
        return "it is no conversation, or not the whole of one"
    if not any(message["role"] == "user" and message["content"].strip() for message in example.messages):
        return "nothing is asked"
    if roles[-1] == "assistant":
        return "the prompt ends with an answer"
    return _answers(example)


def _answers(example: Example) -> str | None:
    if not example.completion.strip() and not example.tool_calls:
        return "the answer is empty"
    if not 0.0 < example.weight < math.inf:
        return "its weight is 0"
    if example.kind != "pair":
        return None
    if example.rejected is None or not example.rejected.strip():
        return "the rejected answer is empty"
    if not example.tool_calls and same(example.completion, example.rejected):
        return "the better answer is the answer that was given"
    return None


def _called(example: Example) -> Iterator[str]:
    """Every text in tool calls, those of the answer and those in the prompt."""
    calls = [*example.tool_calls, *(call for message in example.messages for call in message.get("tool_calls") or ())]
    for call in calls:
        function: Mapping[str, Any] = call["function"]
        yield f"{function['name']}\n{function.get('arguments', '')}"
