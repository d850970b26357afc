"""Canonical keys, and the splits that they make: disjoint by construction, whatever the seed and the source."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence

from loopwise.types import Message

HELD_OUT = "held-out"  # suites that a gate reads: target, anchor, probe
FINAL = "final"  # suites that no gate reads
PRACTICE = "practice"
PEOPLE = "people"  # what simulated people ask

SPLITS: dict[str, range] = {
    HELD_OUT: range(20),
    FINAL: range(20, 30),
    PRACTICE: range(30, 90),
    PEOPLE: range(90, 100),
}


def problem_key(messages: Sequence[Message]) -> str:
    """The canonical key of what is asked: equal prompts are one problem, whatever the seed, options, answer or file.

    The reference is left out on purpose: where several answers are right (palindromes), the same question comes with
    different references, and must still fall into one split. Unicode NFC; white space at the ends of lines and of the
    text is left out, inside a line it counts (some questions are drawings).
    """
    asked = [[str(m["role"]), _normalize(m["content"])] for m in messages]
    canonical = json.dumps(asked, ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def in_split(key: str, split: str) -> bool:
    """Whether the problem with this key belongs to ``split``, a name in SPLITS."""
    return int(key[:16], 16) % 100 in SPLITS[split]


def _normalize(content: object) -> object:
    if not isinstance(content, str):
        return content  # parts of a multimodal message
    lines = unicodedata.normalize("NFC", content).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()
