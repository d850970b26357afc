# pyright: basic
"""What people and models wrote never becomes a control token, however much it looks like one.

Tokenizers turn ``<|im_start|>`` into one control token wherever it stands, so a person who writes the model's own
markers could put words into somebody else's turn of the conversation. Such text is cut before its last character, ahead
of the template, and the rendered pieces are tokenized apart: they decode to the same text, as plain tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

_CUTS = tuple(chr(point) for point in range(0xFDD0, 0xFDF0))  # noncharacters: Unicode never assigns them


class Markers:
    """The control tokens of one tokenizer. Added tokens that are not marked special (``<think>``, ``<tool_call>``) stay
    what they are, since models write them in their answers. Not covered: control tokens of one character."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        added = tokenizer.added_tokens_decoder.values()
        control = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
        self._names = sorted(name for name in control if len(name) > 1)
        self._any = re.compile("|".join(map(re.escape, self._names)) or r"(?!)")

    def found(self, value: Any) -> bool:
        """Whether any text in ``value`` (texts, lists and objects, nested) holds a control token's text."""
        if isinstance(value, str):
            return self._any.search(value) is not None
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return any(self.found(part) for part in parts)

    def cut(self, value: Any, cut: str) -> Any:
        """``value`` with ``cut`` before the last character of each control token's text."""
        if isinstance(value, dict):
            return {key: self.cut(part, cut) for key, part in value.items()}
        if isinstance(value, list):
            return [self.cut(part, cut) for part in value]
        if not isinstance(value, str):
            return value
        lasts = {found.start() + len(name) - 1 for name in self._names for found in _all(name, value)}
        return "".join(f"{cut}{character}" if at in lasts else character for at, character in enumerate(value))

    def pieces(self, rendered: str, cut: str) -> list[str]:
        """The rendered text without its cuts, in pieces to tokenize apart. Cuts where the template itself has broken
        the marker are healed, so that such text is tokenized as it is when the model serves."""
        parts = rendered.split(cut)
        whole, at, pieces = "".join(parts), len(parts[0]), [parts[0]]
        for part in parts[1:]:
            if any(whole.startswith(name, at - len(name) + 1) for name in self._names if len(name) <= at + 1):
                pieces.append(part)
            else:
                pieces[-1] += part
            at += len(part)
        return pieces


def _all(name: str, text: str) -> Iterator[re.Match[str]]:
    """Every place where ``name`` begins, overlapping ones, too."""
    return re.finditer(f"(?={re.escape(name)})", text)


def free_cut(values: Sequence[Any]) -> str:
    """A character to cut with, which the conversation does not hold."""
    text = repr(values)
    return next(cut for cut in _CUTS if cut not in text and ascii(cut)[1:-1] not in text)
