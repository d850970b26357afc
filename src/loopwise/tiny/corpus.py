"""The up-front corpus of the embedded model, small on purpose, and the demo's anchors ("good data") within it.

Two kinds of rows: a family's question with its answer, and a request to pose a question of a family with such a
question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from loopwise.practice.sources import PRACTICE, problems
from loopwise.tiny.families import ANCHOR_SOURCES, FAMILIES, Family
from loopwise.types import Problem

ANSWER_ROWS = 780  # per family
POSE_ROWS = 40  # per family
SEED = 1_000_000


@dataclass(frozen=True)
class Row:
    """One example: the prompt's messages and the right completion."""

    id: str
    messages: tuple[dict[str, str], ...]
    completion: str
    source: str


def build() -> tuple[Row, ...]:
    """The corpus, always the same: for each family its answer rows, then its pose rows; no question twice."""
    return tuple(row for family in FAMILIES for row in _family_rows(family))


def anchors(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that keep alive what is not practised: the anchor families' answers, and every family's posing."""
    poses = {pose_prompt(family.name) for family in FAMILIES}
    return tuple(row for row in rows if row.source in ANCHOR_SOURCES or row.messages[0]["content"] in poses)


def pose_prompt(family_name: str) -> str:
    """What asks the model for a question of a family."""
    return f"Pose a question of the kind {family_name}."


def write(rows: Sequence[Row], path: Path) -> None:
    """Writes rows as JSON lines: ``id``, ``messages``, ``completion``, ``source``."""
    lines = (json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _family_rows(family: Family) -> list[Row]:
    wanted = ANSWER_ROWS + POSE_ROWS
    asked = list(islice(problems(family.source, SEED, PRACTICE), wanted))  # never a question that a suite may hold
    answers = [_row(family, _question(problem), str(problem.reference)) for problem in asked[:ANSWER_ROWS]]
    poses = [_row(family, pose_prompt(family.name), _question(problem)) for problem in asked[ANSWER_ROWS:]]
    return answers + poses


def _question(problem: Problem) -> str:
    return problem.messages[0]["content"]


def _row(family: Family, prompt: str, completion: str) -> Row:
    digest = hashlib.sha256(f"{prompt}\0{completion}".encode()).hexdigest()[:16]
    return Row(f"tiny-{digest}", ({"role": "user", "content": prompt},), completion, family.source)
