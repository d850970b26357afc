"""The words of this room: an answer whose truth is known, what a person says of it, and what speaks for a person."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from loopwise.types import FeedbackKind

TEXTS: tuple[FeedbackKind, ...] = ("correction", "edit")  # their value is an answer, and so has a truth of its own


@dataclass(frozen=True)
class Answer:
    """One answer as a person meets it, with what is known about it. ``is_right`` judges another text for it.
    ``attack`` is set where an attacker asked in order to push their own."""

    text: str
    right: bool
    reference: str | None
    is_right: Callable[[str], bool]
    attack: bool = False


@dataclass(frozen=True)
class Said:
    """One feedback. ``good`` is whether it takes the answer for right; ``user`` None is whoever asked. ``fields`` are
    what the kind needs besides its value."""

    kind: FeedbackKind
    value: Any
    good: bool
    user: str | None = None
    fields: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Opinion:
    """What a person takes the answer for, and what they say of it."""

    taken_for_right: bool
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Account:
    """One account of a group. ``members`` are the ids of all of the group's, this one's too."""

    id: str
    members: tuple[str, ...]


class Voice(Protocol):
    """Speaks for one person. Everything that chance decides comes from ``rng``."""

    def __call__(self, answer: Answer, rng: random.Random) -> Opinion: ...
