"""Each signal with what is known of who gave it, of its kind, and of what was asked since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from loopwise.signals import rating
from loopwise.signals.decay import kept, likeness
from loopwise.signals.evidence import NOBODY, kind_key, stratum_of
from loopwise.signals.joined import Said, Served, joined
from loopwise.signals.kinds import STATED
from loopwise.signals.standing import meant
from loopwise.signals.weighing import Weighing
from loopwise.signals.words import context
from loopwise.types import Exchange, Marks, Signal


def about(conn: Connection, marks: Marks, weighing: Weighing) -> Iterator[tuple[int, Exchange, list[Signal]]]:
    """(seq, exchange, its weighed signals by time) for every exchange up to the marks of which something stands, in the
    order of ``seq``; a few hundred in memory. Those of people in quarantine are there, too: curation drops them where
    it can be seen. ``marks`` are those that ``weighing`` was made with."""
    for one in joined(conn, marks, weighing.on_episodes):
        found = meant(one, weighing.gone, Counter()) if one.said else []
        if found:
            yield one.seq, one.exchange, [_weighed(one, said, signal, weighing) for said, signal in found]


def _weighed(one: Served, said: Said, signal: Signal, weighing: Weighing) -> Signal:
    key = kind_key(said, signal)
    worth = weighing.kinds[key].weight
    standing = _standing(signal, weighing) if key in STATED or signal.kind == "edit" else 1.0
    left = kept(likeness(context(one.exchange.request), weighing.context), weighing.settings.other_prompt)
    if signal.source == "verifier":
        worth, standing = 1.0, 1.0  # what is proved needs nobody's word, and decays like all else
    speaks = weighing.speaking
    person = weighing.people.get(one.user, NOBODY) if one.user is not None else NOBODY
    weight = speaks.weight(person, *stratum_of(one)) if signal.source == "human" and signal.kind in STATED else 1.0
    confidence = min(1.0, signal.confidence * said.share * standing * worth * left)
    parts = [signal.reason]
    parts += [f"this rater's word counts {standing:.2f} times"] if standing != 1.0 else []
    parts += [f"the kind has earned {worth:.2f}"] if worth != 1.0 else []
    parts += [f"said under other instructions or tools: {left:.2f} is left"] if left != 1.0 else []
    parts += [f"its share of an episode is {said.share:.2f}"] if said.share != 1.0 else []
    parts += [f"it stands for {weight:.2f} like it"] if weight != 1.0 else []
    return replace(
        signal,
        strength=_strength(said, signal, weighing),
        confidence=confidence,
        weight=weight,
        reason="; ".join(parts),
    )


def _standing(signal: Signal, weighing: Weighing) -> float:
    if signal.source == "judge":
        return float(weighing.standing_R[-1])
    person = weighing.people.get(signal.user, NOBODY) if signal.user is not None else NOBODY
    return float(weighing.standing_R[-2 if person == NOBODY else person])


def _strength(said: Said, signal: Signal, weighing: Weighing) -> float:
    if signal.source == "verifier":
        return signal.strength
    if signal.kind == "rating" and signal.source == "human":
        person = weighing.people.get(signal.user, NOBODY) if signal.user is not None else NOBODY
        place = rating.share(said.feedback)
        return signal.strength if place is None else _read(weighing, person, place)
    if signal.kind == "metric":
        return weighing.kinds[kind_key(said, signal)].read(float(said.feedback.value))
    return (
        weighing.kinds[kind_key(said, signal)].read(signal.strength) if signal.kind == "follow_up" else signal.strength
    )


def _read(weighing: Weighing, person: int, place: float) -> float:
    return float(weighing.scales.strength(np.array([person]), np.array([place]))[0])
