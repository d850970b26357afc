"""One pass over all feedback: what is known of people and kinds, as a function of the store alone.

    feedback ─▶ evidence ─▶ who is kept out ─▶ who is reliable ─▶ what kinds are worth ─▶ who speaks

``weigh`` reads the store once and keeps columns of numbers. ``about`` (in ``weighed.py``) reads it again and gives each
signal what ``weigh`` found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from loopwise.config import SignalSettings
from loopwise.signals.decay import todays
from loopwise.signals.evidence import Evidence, gather
from loopwise.signals.joined import Falls, falls, joined
from loopwise.signals.kinds import Kind, weighed_kinds
from loopwise.signals.ratings import Scales
from loopwise.signals.speaking import Speaking, speaking
from loopwise.signals.standing import unjoined, withdrawn
from loopwise.signals.suspects import Kept, kept_out
from loopwise.stats.dawid_skene import UNKNOWN
from loopwise.stats.distributions import Integers, Reals
from loopwise.store.quarantine import decisions
from loopwise.types import JsonObject, Marks


@dataclass(frozen=True)
class Weighing:
    """What is known of people and kinds. ``groups``: person → name of its group of alike accounts; who is absent stands
    alone. ``quarantined``: person → reason; ``evidence`` has the counts behind it. ``report`` is for a manifest: counts
    and figures, no text and no names of people. The rest is what ``about`` weighs by."""

    groups: Mapping[str, str]
    quarantined: Mapping[str, str]
    evidence: Mapping[str, JsonObject]
    report: JsonObject
    settings: SignalSettings
    kinds: Mapping[str, Kind]
    scales: Scales = field(repr=False)
    speaking: Speaking = field(repr=False)
    standing_R: Reals = field(repr=False)  # by person; after them those without a name, and the judges
    people: Mapping[str, int] = field(repr=False)
    context: frozenset[str] = field(repr=False)
    gone: Integers = field(repr=False)
    on_episodes: Falls = field(repr=False)


def weigh(conn: Connection, marks: Marks, settings: SignalSettings) -> Weighing:
    """What is known of people and kinds from all that was said up to the marks.

    A function of the store: no clock, no chance, and the order of rows that have nothing to do with each other changes
    nothing. Takes about 80 bytes of memory for each feedback, 40 for each exchange and a few hundred for each person.
    """
    outcomes: Counter[str] = Counter()
    gone, on_episodes = withdrawn(conn, marks), falls(conn, marks, settings.episode)
    evidence = gather(joined(conn, marks, on_episodes), gone, outcomes)
    named = outcomes.pop("named", 0)
    outcomes.update(unjoined(conn, marks, named, len(np.unique(on_episodes.feedback_K))))
    decided = decisions(conn)
    kept = kept_out(evidence, decided)
    kinds = weighed_kinds(evidence, _truth(evidence, kept), kept.counted_N)
    speaks = speaking(evidence)
    names = evidence.people
    quarantined = {names[person]: reason for person, (reason, _) in kept.out.items()}
    unseen = {name: one for name, one in decided.items() if one.out and name not in quarantined}
    quarantined.update({name: f"decided by {one.who}: {one.why}" for name, one in sorted(unseen.items())})
    return Weighing(
        groups={names[person]: f"alike:{names[group]}" for person, group in kept.groups.items()},
        quarantined=quarantined,
        evidence={names[person]: found for person, (_, found) in kept.out.items()},
        report=_report(evidence, kept, kinds, speaks, outcomes, len(quarantined)),
        settings=settings,
        kinds=kinds,
        scales=kept.scales,
        speaking=speaks,
        standing_R=kept.jury.standing,
        people={name: person for person, name in enumerate(names)},
        context=todays(conn, marks),
        gone=gone,
        on_episodes=on_episodes,
    )


def _truth(evidence: Evidence, kept: Kept) -> tuple[Integers, np.ndarray]:
    """(items, whether good) of the answers that were given: by verifiers, or as the raters' fit has it."""
    given = np.isin(kept.jury.item_I, evidence.item_N)
    return kept.jury.item_I[given], kept.jury.fit.good_I[given] > 0.5


def _report(
    evidence: Evidence, kept: Kept, kinds: Mapping[str, Kind], speaks: Speaking, outcomes: Counter[str], out: int
) -> JsonObject:
    labels, fit, standing_P = kept.jury.labels, kept.jury.fit, kept.jury.standing[: len(evidence.people)]
    heard = np.unique(labels.rater_N[labels.rater_N < len(evidence.people)])
    return {
        "outcomes": dict(sorted((name, n) for name, n in outcomes.items() if n)),
        "kinds": {name: kind.as_dict() for name, kind in kinds.items()},
        "ratings": {"mean": round(kept.scales.mean, 4), "neutral": round(kept.scales.neutral, 4)},
        "raters": {
            "people": len(heard),
            "labels": len(labels.item_N),
            "items": len(labels.truth_I),
            "verified": int((labels.truth_I != UNKNOWN).sum()),
            "prevalence": round(fit.prevalence, 4),
            "rounds": fit.rounds,
            "counts_for_nothing": int((standing_P[heard] <= 0).sum()),
            "median_standing": round(float(np.median(standing_P[heard])), 4) if len(heard) else None,
        },
        "quarantine": {"people": out, "by": dict(sorted(kept.found.items())), "alike_by_design": kept.alike_by_design},
        "groups": {"groups": len(set(kept.groups.values())), "people": len(kept.groups)},
        "propensity": speaks.as_dict(),
    }
