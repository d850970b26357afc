"""What the referee holds a candidate to."""

from __future__ import annotations

from dataclasses import dataclass

from loopwise.errors import SettingsError


@dataclass(frozen=True)
class GateSettings:
    """Levels are one-sided error probabilities for one turn; differences are shares of 1. Raises SettingsError."""

    alpha: float = 0.025  # chance that a candidate that is no better passes the target's check
    anchor_alpha: float = 0.05  # chance that a candidate worse by the margin passes an anchor's check
    min_questions: int = 50  # below this nothing is judged: the score interval is an approximation for large n
    effect: float = 0.05  # the gain on a target that "there was power to see" speaks of
    power: float = 0.8  # with at least this, not having shown it counts against the candidate

    def __post_init__(self) -> None:
        for name, value, below in (
            ("alpha", self.alpha, 0.5),
            ("anchor_alpha", self.anchor_alpha, 0.5),
            ("effect", self.effect, 1.0),
            ("power", self.power, 1.0),
        ):
            if not 0 < value < below:
                raise SettingsError(f"The gate's {name} lies between 0 and {below}; it was {value}.")
        if self.min_questions < 1:
            raise SettingsError(f"The gate's min_questions is at least 1; it was {self.min_questions}.")
