"""64-bit names for what examples say, so that steps can remember millions of them. Equal in every process."""

from __future__ import annotations

from typing import Literal

from xxhash import xxh3_64_intdigest

from loopwise.curate.text import answer, normalized, prompt
from loopwise.types import Example

Lesson = Literal["imitate", "refused", "pair"]


def lesson(example: Example) -> Lesson:
    """Which kind of training record it is: an answer to imitate, one never to imitate, or the better of two."""
    return example.kind if example.kind in ("refused", "pair") else "imitate"


def number(text: str) -> int:
    return xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def prompt_id(example: Example) -> int:
    return number(prompt(example))


def answer_id(example: Example) -> int:
    return number(answer(example))


def rejected_id(example: Example) -> int:
    return number(normalized(example.rejected or ""))


def content_id(example: Example) -> int:
    """Equal for examples that teach the same, whoever they come from: lesson, prompt, answer and rejected answer."""
    parts = (lesson(example), prompt(example), answer(example), normalized(example.rejected or ""))
    return number("\x1d".join(parts))
