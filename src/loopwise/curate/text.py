"""When two texts count as the same, and what an example asks."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

from loopwise.types import Example, Message


def normalized(text: str) -> str:
    """Unicode NFKC, case folded, runs of white space as one space.

    NFKC comes twice: folding may undo it (Unicode Standard, chapter 3.13, "compatibility caseless match").
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def asked(messages: Sequence[Message]) -> str:
    """What the user's messages ask, normalized; a system prompt does not make another question of it."""
    return "\n".join(normalized(str(message["content"])) for message in messages if message["role"] == "user")


def questions(example: Example) -> set[str]:
    """Every text of the example that may be a suite's question, normalized: all that the user asked together, each
    turn alone, and the answer (a model may be taught to pose questions)."""
    turns = {normalized(str(message["content"])) for message in example.messages if message["role"] == "user"}
    return {asked(example.messages), normalized(example.completion), *turns}


def exact(example: Example) -> str:
    """The example's prompt and answer, as one canonical text."""
    turns = [[message["role"], message["content"]] for message in example.messages]
    return json.dumps([turns, example.completion], ensure_ascii=False)


def prompt(example: Example) -> str:
    """All that came before the answer, normalized."""
    return json.dumps([[message["role"], normalized(message["content"])] for message in example.messages])
