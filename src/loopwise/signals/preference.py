"""Preferences: one answer is better than another."""

from __future__ import annotations

from typing import Any, cast

from loopwise.signals.made import made
from loopwise.signals.words import answers
from loopwise.types import Exchange, Feedback, Signal

CONFIDENCE = {"human": 0.8, "implicit": 0.4, "judge": 0.6, "verifier": 1.0}  # comparing is easier than judging alone
STRENGTH = 0.5  # better is not good and worse is not bad: half of what is said of an answer outright


def read(feedback: Feedback, exchange: Exchange) -> Signal | None:
    """``text`` was preferred to ``worse``; choices that are named by index are looked up in the response. Negative
    where the answer meant by ``choice`` lost, positive where it won, 0 where it was not compared. None where either
    text is missing, or both are one."""
    pair: Any = feedback.value
    if not isinstance(pair, dict):
        return None
    given = answers(exchange)
    chosen, rejected = (_text(cast(dict[Any, Any], pair).get(name), given) for name in ("chosen", "rejected"))
    if chosen is None or rejected is None or chosen.strip() == rejected.strip():
        return None
    answer = given.get(feedback.choice)
    strength = STRENGTH * ((answer == chosen) - (answer == rejected))
    confidence = CONFIDENCE[feedback.source]
    return made(feedback, exchange, strength, confidence, "preferred to another", text=chosen, worse=rejected)


def _text(value: object, given: dict[int, str]) -> str | None:
    if isinstance(value, int):
        return given.get(value)
    return value if isinstance(value, str) and value.strip() else None
