"""The target's check: is the candidate better?"""

from __future__ import annotations

from loopwise.gate.pairing import PairedScores
from loopwise.gate.settings import GateSettings
from loopwise.stats.paired import mcnemar_superiority, tango_interval
from loopwise.stats.power import superiority_power, superiority_questions
from loopwise.types import Check, CheckResult


def superiority(paired: PairedScores, settings: GateSettings) -> Check:
    """The exact one-sided McNemar test decides; Tango's interval at level 1 - 2 alpha goes with it.

    - not proved: fewer than ``min_questions`` questions; or neither a gain nor a loss is shown, and a true gain of
      ``effect`` would have been shown with a probability below ``power``.
    - passed: p <= alpha.
    - failed: a loss is shown by the same test the other way round; or nothing is shown although a gain of ``effect``
      would have been, with a probability of ``power`` or more.

    The power is computed at the observed discordance, or at ``effect`` where that is larger. ``detail["needed"]`` is
    the number of questions for that power; None beyond a million."""
    counts = paired.counts
    level = 1 - 2 * settings.alpha
    interval = tango_interval(counts.gains, counts.losses, counts.n, level)
    p_value = mcnemar_superiority(counts.gains, counts.losses)
    discordance = max(counts.discordance, settings.effect)
    power = superiority_power(counts.n, discordance, settings.effect, settings.alpha)
    needed = superiority_questions(discordance, settings.effect, settings.alpha, settings.power)
    result: CheckResult
    if counts.n < settings.min_questions:
        result, reason = "not proved", f"{counts.n} questions are fewer than the {settings.min_questions} required"
    elif p_value <= settings.alpha:
        result, reason = "passed", "the gain is shown"
    elif mcnemar_superiority(counts.losses, counts.gains) <= settings.alpha:
        result, reason = "failed", "a loss is shown"
    elif power >= settings.power:
        result, reason = "failed", f"no gain is shown, where one of {100 * settings.effect:g} points would have been"
    else:
        result, reason = "not proved", f"no gain is shown, and one of {100 * settings.effect:g} points could be missed"
    return Check(
        name=f"superiority:{paired.suite.name}",
        question=f"Does the candidate answer more of {paired.suite.name} right?",
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        threshold=0.0,
        result=result,
        n=counts.n,
        p_value=p_value,
        power=power,
        detail={
            **paired.facts(),
            "level": level,
            "effect": settings.effect,
            "needed": needed and max(needed, settings.min_questions),
            "reason": reason,
        },
    )
