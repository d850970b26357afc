"""Where problems come from, by name; and the splits that keep uses of one source apart."""

from loopwise.practice.sources.splits import FINAL, HELD_OUT, PEOPLE, PRACTICE, SPLITS, in_split, problem_key
from loopwise.practice.sources.table import mixed, problems, take

__all__ = [
    "FINAL",
    "HELD_OUT",
    "PEOPLE",
    "PRACTICE",
    "SPLITS",
    "in_split",
    "mixed",
    "problem_key",
    "problems",
    "take",
]
