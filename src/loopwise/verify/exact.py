"""Right when the text equals the reference, apart from white space and case."""

from __future__ import annotations

import unicodedata

from loopwise.types import Problem


def normalize(text: str) -> str:
    """Unicode NFC, runs of white space as one space, none at the ends, case folded."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def exact(problem: Problem, attempt_text: str) -> float:
    """1.0 when the normalized texts are equal, else 0.0. Raises ValueError when the problem has no reference."""
    if problem.reference is None:
        raise ValueError(f"problem {problem.key} has no reference to compare with")
    return float(normalize(attempt_text) == normalize(problem.reference))
