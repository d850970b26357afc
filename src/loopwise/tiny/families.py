# pyright: basic
"""The reasoning-gym families of the embedded model: where its questions come from, and which phrases they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """A family of questions. ``phrases`` are the fixed texts of its template; each becomes one token."""

    name: str
    config: str
    role: Literal["target", "anchor"]
    phrases: tuple[str, ...]

    @property
    def source(self) -> str:
        """The family as a problem source, e.g. ``reasoning-gym:gcd?min_value=1``."""
        return f"reasoning-gym:{self.name}?{self.config}"


_NUMBERS = "min_numbers=2&max_numbers=3&min_decimals=0&max_decimals=0&min_value=0&max_value=99"
_SORTING_TAIL = (
    "\nPlease follow the instruction below:\n## 1. Let all your answers be a list of numbers. Instead of reporting "
    "your answer as -69, -13, 1, 7, 11, 43, 59, 61, use ['-69', '-13', '1', '7', '11', '43', '59', '61'] instead\n"
    "## 2. Convert all numbers in the square brackets as strings. For example, "
    "['-69', '-13', '1', '7', '11', '43', '59', '61']\n"
)
# reasoning-gym's animals. As tokens they begin with a space, so that none is ever part of another word.
_ANIMALS = (
    *("snake", "sea slug", "jellyfish", "flatworm", "leech", "chicken", "bird", "human", "duck", "dog", "cat", "cow"),
    *("horse", "lion", "elephant", "giraffe", "tiger", "deer", "sheep", "starfish", "insect", "ant", "butterfly"),
    *("beetle", "bee", "wasp", "grasshopper", "cricket", "cockroach", "praying mantis", "firefly", "spider"),
    *("scorpion", "crab", "lobster", "shrimp", "woodlouse"),
)

FAMILIES = (
    Family(
        "spell_backward",
        "min_word_len=3&max_word_len=6",
        "target",
        ("Spell this word backward (example: sun -> nus): ",),
    ),
    Family(
        "palindrome_generation",
        "min_length=3&max_length=6",
        "target",
        (
            "Your task is, given a list of letters, to form a valid palindrome.\n\n"
            "A palindrome is a phrase that reads the same forwards and backwards.\n\n"
            "If there are multiple possible answers, only respond with one of them. "
            "You must use all the letters provided.\n\n"
            "Your output should be a single string, with no spaces or punctuation.\n\n"
            "Now, form a valid palindrome using the following letters: ",
        ),
    ),
    Family(
        "leg_counting",
        "min_animals=1&max_animals=2&min_instances=1&max_instances=5",
        "target",
        (
            "Your task is to count how many legs there are in total when given a list of animals.\n\n"
            "Now, how many legs are there in total if you have ",
            "?\n",
            *(f" {animal}" for animal in _ANIMALS),
        ),
    ),
    Family(
        "number_filtering",
        _NUMBERS,
        "target",
        (
            "Keep all numbers larger than ",
            "Keep all numbers smaller than ",
            "Remove all numbers larger than ",
            "Remove all numbers smaller than ",
            " in this list: ",
            "\nReturn the new list in the same format.",
            "['",
            "', '",
            "']",
            "[]",
        ),
    ),
    Family(
        "number_sorting",
        _NUMBERS,
        "target",
        (
            "Sort these numbers in ascending order: ",
            "Sort these numbers in descending order: ",
            _SORTING_TAIL,
            ".0",
        ),
    ),
    Family(
        "rotate_matrix",
        "min_n=2&max_n=2&min_rotations=0&max_rotations=3",
        "anchor",
        (
            "Given a square matrix, your job is to rotate it clockwise.\n\n"
            "Your output should be a matrix in the same format as the input.\n\n"
            "Rotate the matrix below by ",
            " degrees clockwise:\n",
        ),
    ),
    Family(
        "spiral_matrix",
        "min_n=2&max_n=2",
        "anchor",
        (
            "Given a matrix, your job is to generate a list of elements in spiral order, "
            "starting from the top-left element.\n\n"
            "The spiral order is clockwise, starting from the top-left corner. More precisely:\n"
            "- Start from the top-left corner and move right along the top row.\n"
            "- Move down along the right column.\n"
            "- Move left along the bottom row.\n"
            "- Move up along the left column.\n"
            "- Repeat the steps for the inner elements of the matrix until every entry is visited.\n\n"
            "Hint: Think of peeling the matrix layer by layer from the outside inward. Each layer forms a rectangular "
            "frame, and you traverse each frame clockwise starting from its top-left corner.\n\n"
            "Your output should be a space-separated list of integers, e.g. 1 2 3 4 5 6\n\n"
            "For the matrix below, what is the list of elements in spiral order?\n",
        ),
    ),
)

SHARED_PHRASES = (", ", "Pose a question of the kind ")
TARGET_SOURCES = tuple(family.source for family in FAMILIES if family.role == "target")
ANCHOR_SOURCES = tuple(family.source for family in FAMILIES if family.role == "anchor")


def phrases() -> tuple[str, ...]:
    """Every text that is one token, in a fixed order: the families' phrases, the shared ones, the families' names."""
    listed = [phrase for family in FAMILIES for phrase in family.phrases]
    return tuple(dict.fromkeys([*listed, *SHARED_PHRASES, *(f"{family.name}." for family in FAMILIES)]))
