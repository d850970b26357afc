"""Right when the text is a number that equals the reference. Does not look for a number inside a sentence."""

from __future__ import annotations

import math
import re

from loopwise.types import Problem

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 1e-9

_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_LONGEST = 64  # characters; nothing longer is a number that anybody meant


def number(problem: Problem, attempt_text: str) -> float:
    """1.0 when both are equal within 1e-6 of the larger (or 1e-9), else 0.0. Thousands may be grouped by commas.

    Raises ValueError when the reference is missing or no finite number.
    """
    expected = None if problem.reference is None else _parse(problem.reference)
    if expected is None:
        raise ValueError(f"the reference {problem.reference!r} of problem {problem.key} is no number")
    got = _parse(attempt_text)
    if got is None:
        return 0.0
    return float(math.isclose(got, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE))


def _parse(text: str) -> float | None:
    text = text.strip()
    if len(text) > _LONGEST or not (_PLAIN.fullmatch(text) or _GROUPED.fullmatch(text)):
        return None
    value = float(text.replace(",", ""))
    return value if math.isfinite(value) else None
