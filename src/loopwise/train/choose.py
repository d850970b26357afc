"""Which method learns what a dataset holds: the one place where that is decided, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from loopwise.errors import TrainingError
from loopwise.types import JsonObject

LEAST = 8  # rows that teach something, anchors not counted; with fewer, chance decides what a model makes of them

Method = Literal["sft", "dpo", "kto"]


@dataclass(frozen=True)
class Held:
    """How many rows of each sort a dataset holds. ``right`` are answers that were verified or written by somebody who
    knew (practice, demonstrations), ``approved`` the model's own that pleased, ``refused`` those that did not."""

    right: int
    approved: int
    refused: int
    pairs: int
    anchors: int

    @staticmethod
    def of(kinds: Iterable[str]) -> Held:
        n = Counter(kinds)
        return Held(n["practice"] + n["demonstration"], n["approved"], n["refused"], n["pair"], n["anchor"])

    @property
    def said(self) -> int:
        """Rows that teach something new."""
        return self.right + self.approved + self.refused + self.pairs


@dataclass(frozen=True)
class Choice:
    method: Method
    reason: str
    held: Held

    def to_json(self) -> JsonObject:
        return asdict(self)


def choose(held: Held, wanted: Literal["auto", "sft", "dpo", "kto"]) -> Choice:
    """The method that was asked for, or the one that uses most of what is held.

    Raises TrainingError when there is too little to learn from, in all or for the method that was asked for.
    """
    if held.said < LEAST:
        raise TrainingError(
            f"There is too little to learn from: {held.said} usable rows besides {held.anchors} anchors, and at least "
            f"{LEAST} are needed. Nothing was trained; gather more feedback or practice."
        )
    if wanted == "auto":
        return Choice(*_by_content(held), held)
    if wanted == "dpo" and held.pairs < LEAST:
        raise TrainingError(
            f"[train] method = 'dpo' learns from pairs, and the dataset holds {held.pairs} of the {LEAST} that are "
            "needed: gather corrections and preferences, or set method = 'auto'."
        )
    if wanted == "kto" and held.refused + held.pairs == 0:
        raise TrainingError(
            "[train] method = 'kto' learns from good and bad answers, and the dataset holds no bad one: set "
            "method = 'auto'."
        )
    if wanted == "sft" and held.said - held.refused < LEAST:
        raise TrainingError(
            f"[train] method = 'sft' imitates good answers, and the dataset holds {held.said - held.refused} of the "
            f"{LEAST} that are needed; refused answers are never imitated: set method = 'auto'."
        )
    return Choice(wanted, "asked for by [train] method", held)


def _by_content(held: Held) -> tuple[Method, str]:
    if held.refused + held.pairs == 0:
        return "sft", "there are only answers to imitate"
    if held.right >= LEAST and 2 * held.right >= held.said:
        # on a small model imitating verified answers with replay took accuracy from 0.15 to 0.41, DPO on pairs to 0.16
        return "sft", "at least half of the rows are verified or demonstrated answers, which teach most by imitation"
    if held.pairs >= LEAST and held.pairs >= held.approved + held.refused:
        return "dpo", "most judgments compare two answers to one prompt"
    if held.right + held.approved >= LEAST:
        # of 1,000 marks on a small model imitating what pleased gained 8 points, and KTO on all of them lost 21
        return "sft", "there are answers that pleased, and imitating them is surer than pushing off from the others"
    if held.right + held.approved + held.pairs + held.anchors > 0:
        return "kto", "most judgments say that single answers were bad, and too few which are good"
    raise TrainingError(
        f"The dataset holds {held.refused} refused answers and no good one, so no method can tell what to do instead: "
        "add anchors, or gather corrections."
    )
