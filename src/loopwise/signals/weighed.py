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
from loopwise.signals.joined import Said, joined
from loopwise.signals.kinds import PRESUMED, STATED
from loopwise.signals.standing import meant
from loopwise.signals.weighing import Weighing
from loopwise.signals.words import context
from loopwise.types import Exchange, Marks, Signal


def about(conn: Connection, marks: Marks, weighing: Weighing) -> Iterator[tuple[int, Exchange, list[Signal]]]:
    """(seq, exchange, its weighed signals by time) for every exchange up to the marks of which something stands, or
    which was asked for in place of an earlier one, in the order of ``seq``; a few hundred in memory. Those of people in
    quarantine are there, too: curation drops them where it can be seen. ``marks`` are those that ``weighing`` was made
    with."""
    awaited: set[str] = set()  # asked for in place of an earlier exchange
    for one in joined(conn, marks, weighing.on_episodes):
        found = meant(one, weighing.gone, Counter()) if one.said else []
        if found or one.id in awaited:
            awaited.discard(one.id)
            awaited.update(signal.instead for _, signal in found if signal.instead is not None)
            left = kept(likeness(context(one.exchange.request), weighing.context), weighing.settings.other_prompt)
            stands_for = weighing.speaking.weight(_person(one.user, weighing), *stratum_of(one))
            signals = [_weighed(said, signal, weighing, (left, stands_for)) for said, signal in found]
            yield one.seq, one.exchange, signals


def _weighed(said: Said, signal: Signal, weighing: Weighing, of_exchange: tuple[float, float]) -> Signal:
    """``of_exchange``: what is left of confidence in it, and how many like it an outright word on it stands for."""
    left, stands_for = of_exchange
    key = kind_key(said, signal)
    worth = weighing.kinds[key].weight
    standing = _standing(signal, weighing) if key in (*STATED, *PRESUMED) else 1.0
    if signal.source == "verifier":
        worth, standing = 1.0, 1.0  # what is proved needs nobody's word, and decays like all else
    weight = stands_for if signal.source == "human" and key in STATED else 1.0
    parts = [signal.reason]
    parts += [f"this rater's word counts {standing:.2f} times"] if standing != 1.0 else []
    parts += [f"the kind has earned {worth:.2f}"] if worth != 1.0 else []
    parts += [f"said under other instructions or tools: {left:.2f} is left"] if left != 1.0 else []
    parts += [f"its share of an episode is {said.share:.2f}"] if said.share != 1.0 else []
    parts += [f"it stands for {weight:.2f} like it"] if weight != 1.0 else []
    return replace(
        signal,
        strength=_strength(said, signal, weighing),
        confidence=min(1.0, signal.confidence * said.share * standing * worth * left),
        weight=weight,
        reason="; ".join(parts),
    )


def _person(name: str | None, weighing: Weighing) -> int:
    return NOBODY if name is None else weighing.people.get(name, NOBODY)


def _standing(signal: Signal, weighing: Weighing) -> float:
    if signal.source == "judge":
        return float(weighing.standing_R[-1])
    person = _person(signal.user, weighing)
    return float(weighing.standing_R[-2 if person == NOBODY else person])


def _strength(said: Said, signal: Signal, weighing: Weighing) -> float:
    """A person's rating by that person's scale, a learned kind by what was learned of it, all else as it was read."""
    if signal.source == "human" and signal.kind == "rating" and (place := rating.share(said.feedback)) is not None:
        person = np.array([_person(signal.user, weighing)])
        return float(weighing.scales.strength(person, np.array([place]))[0])
    if signal.source == "verifier" or signal.kind not in ("metric", "follow_up"):
        return signal.strength
    number = float(said.feedback.value) if signal.kind == "metric" else signal.strength
    return weighing.kinds[kind_key(said, signal)].read(number)
