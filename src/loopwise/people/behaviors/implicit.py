"""What people do without a word: it follows from what they take the answer for, at the rates of their group."""

from __future__ import annotations

import random

from loopwise.people.group import Chances, ImplicitSettings
from loopwise.people.words import Opinion, Said
from loopwise.types import FeedbackKind

GOOD = ("copy", "accept")  # what is done with a right answer; the other kinds with a wrong one


def deeds(settings: ImplicitSettings, opinion: Opinion, rng: random.Random) -> tuple[Said, ...]:
    """Each kind happens or not by itself. Kinds that cannot happen draw nothing from ``rng``."""
    chances: dict[FeedbackKind, Chances] = {
        "copy": settings.copy_,
        "accept": settings.accept,
        "abandon": settings.abandon,
        "regenerate": settings.regenerate,
        "follow_up": settings.follow_up,
    }
    found: list[Said] = []
    for kind, (if_right, if_wrong) in chances.items():
        chance = if_right if opinion.taken_for_right else if_wrong
        if (if_right or if_wrong) and rng.random() < chance:
            found.append(Said(kind, None, good=kind in GOOD))
    return tuple(found)
