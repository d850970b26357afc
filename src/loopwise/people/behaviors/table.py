"""The visible table of behaviors: settings to parse, and who then speaks for a person."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from loopwise.people.behaviors import attacker, copy_cat, marks, rater, swayed
from loopwise.people.group import Group
from loopwise.people.words import Account, Voice

AnyGroup = Annotated[
    marks.Honest
    | marks.Noisy
    | marks.Careless
    | marks.Lazy
    | marks.Correctors
    | marks.Editors
    | rater.Raters
    | swayed.FlatteryLovers
    | swayed.Gullible
    | copy_cat.CopyCats
    | attacker.Attackers,
    Field(discriminator="behavior"),
]  # written out, so that it is also a type


class Behavior(NamedTuple):
    """What a group's settings are, and how they make one person's voice; its traits are drawn once."""

    settings: type[Group]
    voice: Callable[[Any, Account, random.Random], Voice]


BEHAVIORS: dict[str, Behavior] = {
    "honest": Behavior(marks.Honest, marks.honest),
    "noisy": Behavior(marks.Noisy, marks.noisy),
    "careless": Behavior(marks.Careless, marks.careless),
    "lazy": Behavior(marks.Lazy, marks.lazy),
    "corrector": Behavior(marks.Correctors, marks.corrector),
    "editor": Behavior(marks.Editors, marks.editor),
    "rater": Behavior(rater.Raters, rater.rater),
    "flattery_lover": Behavior(swayed.FlatteryLovers, swayed.flattery_lover),
    "gullible": Behavior(swayed.Gullible, swayed.gullible),
    "copy_cat": Behavior(copy_cat.CopyCats, copy_cat.copy_cat),
    "attacker": Behavior(attacker.Attackers, attacker.attacker),
}
