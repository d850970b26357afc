"""When two examples are so alike that the second teaches nothing new."""

from __future__ import annotations

from dataclasses import dataclass

from loopwise.curate.identity import lesson, number
from loopwise.curate.text import called, context, digits, spaced
from loopwise.types import Example

SHINGLE = 3  # words; a changed word in the middle of a text changes three shingles
SHORT = 20  # words; in a text of fewer, each may carry the meaning


@dataclass(frozen=True)
class Likeness:
    """What must be equal (``frame``: 64 bits), and the long texts that must be alike, "" in the place of short ones."""

    frame: int
    texts: tuple[str, str, str]  # the last message of the prompt, the answer, the rejected answer


def likeness(example: Example) -> Likeness | None:
    """None for what only an equal example is a duplicate of.

    Equal must be: the lesson and kind, everything said before the last message, tools and tool calls, every run of
    digits, and texts of fewer than ``SHORT`` words. So an example is never taken for another that differs in one
    number, in a short answer, or in the conversation that led to it. Problems with a canonical key are not compared:
    those of one template all look alike.
    """
    if example.key or not example.messages:
        return None
    given = (example.messages[-1]["content"], example.completion, example.rejected or "")
    texts = [spaced(text) for text in given]
    long = [text if text.count(" ") + 1 >= SHORT else "" for text in texts]
    if not any(long):
        return None
    fixed = [lesson(example), example.kind, context(example), called(example.tool_calls)]
    for text, is_long in zip(texts, long, strict=True):
        fixed.append(" ".join(digits(text)) if is_long else text)
    return Likeness(number("\x1d".join(fixed)), (long[0], long[1], long[2]))


def alike(one: Likeness, other: Likeness, threshold: float) -> bool:
    """Whether the frames are equal, and each text and its counterpart have a Jaccard similarity of ``threshold``."""
    pairs = zip(one.texts, other.texts, strict=True)
    return one.frame == other.frame and all(a == b or jaccard(a, b) >= threshold for a, b in pairs)


def jaccard(one: str, other: str) -> float:
    """Of the sets of runs of ``SHINGLE`` words: shared runs as a part of all runs, exactly."""
    a, b = _runs(one), _runs(other)
    return len(a & b) / len(a | b) if a | b else 1.0


def _runs(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return set(zip(*(words[k:] for k in range(SHINGLE)), strict=False))
