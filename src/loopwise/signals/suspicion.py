"""A suspicion: why a person is to be kept out, in words and in counts."""

from __future__ import annotations

from dataclasses import dataclass

from loopwise.types import JsonObject


@dataclass(frozen=True)
class Suspicion:
    """``person`` is a place in the evidence's people; ``what`` names the test that found it."""

    person: int
    what: str
    reason: str
    evidence: JsonObject
