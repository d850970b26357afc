"""When two texts count as the same, and what an example asks."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from loopwise.types import Example, Message

# Kinds of quotation marks and dashes that word processors and telephones put in by themselves.
_SINGLE, _DOUBLE, _DASHES = (
    "\u2018\u2019\u201a\u201b\u2032\u02bc",
    "\u201c\u201d\u201e\u201f\u00ab\u00bb",
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
)
_TYPED = str.maketrans(dict.fromkeys(_SINGLE, "'") | dict.fromkeys(_DOUBLE, '"') | dict.fromkeys(_DASHES, "-"))
# Scripts that are written without spaces: each character stands for a word.
_UNSPACED = re.compile("([\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ffff])")
_DIGITS = re.compile(r"\d+")


@lru_cache(maxsize=1_024)  # the steps ask for the same texts one after the other
def normalized(text: str) -> str:
    """Unicode NFKC, case folded, quotes and dashes as a keyboard types them, runs of white space as one space.

    NFKC comes twice: folding may undo it (Unicode Standard, chapter 3.13, "compatibility caseless match").
    """
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_TYPED).split())


def same(one: str, other: str) -> bool:
    """Whether two texts differ at most in quotes, dashes, line ends and white space; letter case counts."""
    return one == other or _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(_TYPED).split())


def spaced(text: str) -> str:
    """The normalized text with a space between any two words, in scripts that have none, too."""
    found = normalized(text)
    return found if found.isascii() else " ".join(_UNSPACED.sub(r" \1 ", found).split())


def digits(text: str) -> list[str]:
    """The runs of digits in the text, in order: two texts that differ in one say different things."""
    return _DIGITS.findall(text)


def asked(messages: Sequence[Message]) -> str:
    """What the user's messages ask, normalized; a system prompt does not make another question of it."""
    return "\n".join(normalized(message["content"]) for message in messages if message["role"] == "user")


def questions(example: Example) -> set[str]:
    """Every text of the example that may be a suite's question, normalized: all that the user asked together, each
    turn alone, and the answers (a model may be taught to pose questions)."""
    turns = {normalized(message["content"]) for message in example.messages if message["role"] == "user"}
    answers = {normalized(example.completion), normalized(example.rejected or "")}
    return {text for text in {asked(example.messages), *answers, *turns} if text}


def prompt(example: Example) -> str:
    """All that came before the answer, normalized, and what the model could call.

    The separators are white space to Python, so that no normalized text holds them.
    """
    return "\x1e".join([*map(_turn, example.messages), _tools(example)])


def context(example: Example) -> str:
    """The prompt without the text of its last message."""
    *before, last = example.messages
    return "\x1e".join([*map(_turn, before), _turn({**last, "content": ""}), _tools(example)])


def _turn(message: Message) -> str:
    return f"{message['role']}\x1f{normalized(message['content'])}{called(message.get('tool_calls'))}"


def _tools(example: Example) -> str:
    return json.dumps(example.tools, sort_keys=True) if example.tools else ""


def answer(example: Example) -> str:
    """The answer, normalized, with its tool calls."""
    return f"{normalized(example.completion)}{called(example.tool_calls)}"


def called(calls: Sequence[Mapping[str, Any]] | None) -> str:
    """Tool calls without their ids, which differ between equal calls."""
    if not calls:
        return ""
    return "\x1f" + json.dumps([call["function"] for call in calls], sort_keys=True)
