"""Feedback ages with what the model was told: what was said of answers under other instructions or tools counts less.

Likeness is Jaccard's (1901) of two sets: the words of the instructions together with the names of the tools.
"""

from __future__ import annotations

import json
from collections import Counter

from sqlalchemy import Connection, text

from loopwise.signals.words import context
from loopwise.types import Marks

LATEST = 500  # chat exchanges, among which the most frequent context is today's
_LATEST = text(
    "SELECT CAST(request AS TEXT) FROM exchanges WHERE seq <= :mark AND endpoint = 'chat.completions' AND train "
    "ORDER BY seq DESC LIMIT :rows"
)


def todays(conn: Connection, marks: Marks) -> frozenset[str]:
    """The words and tools that are most frequent of late; of equally frequent ones, the latest."""
    found = conn.execute(_LATEST, {"mark": marks.exchanges, "rows": LATEST})
    seen = Counter(context(json.loads(request)) for (request,) in found)  # keeps the order of first sight
    return max(seen, key=lambda words: seen[words]) if seen else frozenset()


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """1 for the same, 0 for nothing in common."""
    return len(one & other) / len(one | other) if one or other else 1.0


def kept(likeness: float, other_prompt: float) -> float:
    """What is left of the confidence: all of it at likeness 1, ``other_prompt`` at 0, geometric in between."""
    return other_prompt ** (1 - likeness)
