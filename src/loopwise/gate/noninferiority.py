"""An anchor's check: is the candidate at most a margin worse?"""

from __future__ import annotations

from loopwise.gate.pairing import PairedScores
from loopwise.gate.settings import GateSettings
from loopwise.stats.paired import noninferiority as noninferiority_p_value, tango_interval
from loopwise.stats.power import noninferiority_power, noninferiority_questions
from loopwise.types import Check, CheckResult


def noninferiority(paired: PairedScores, settings: GateSettings) -> Check:
    """Tango's score interval at level 1 - 2 anchor_alpha decides: proof is needed that the loss is below the margin.

    - not proved: fewer than ``min_questions`` questions; or the lower limit does not clear the margin, no loss is
      shown, and a truly equal candidate would have cleared it with a probability below ``power``.
    - passed: the lower limit lies above -margin (equally: p_value < anchor_alpha). A loss inside the margin passes.
    - failed: not passed, and either a loss is shown (the upper limit lies below 0) or a truly equal candidate would
      have passed with a probability of ``power`` or more. So of truly equal candidates up to 1 - power fail.

    The power is computed at the observed discordance; ``detail["needed"]`` is the number of questions for that power;
    None beyond a million."""
    counts, margin = paired.counts, paired.suite.margin
    level = 1 - 2 * settings.anchor_alpha
    interval = tango_interval(counts.gains, counts.losses, counts.n, level)
    p_value = noninferiority_p_value(counts.gains, counts.losses, counts.n, margin)
    power = noninferiority_power(counts.n, counts.discordance, 0.0, margin, settings.anchor_alpha)
    needed = noninferiority_questions(counts.discordance, margin, 0.0, settings.anchor_alpha, settings.power)
    result: CheckResult
    if counts.n < settings.min_questions:
        result, reason = "not proved", f"{counts.n} questions are fewer than the {settings.min_questions} required"
    elif interval.low > -margin:
        result, reason = "passed", f"a loss of {100 * margin:g} points is ruled out"
    elif interval.high < 0:
        result, reason = "failed", "a loss is shown"
    elif power >= settings.power:
        result, reason = "failed", f"a loss of {100 * margin:g} points is not ruled out, where equals would have passed"
    else:
        result, reason = "not proved", f"a loss of {100 * margin:g} points is not ruled out, for want of questions"
    return Check(
        name=f"noninferiority:{paired.suite.name}",
        question=f"Does the candidate lose less than {100 * margin:g} points on {paired.suite.name}?",
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        threshold=-margin,
        result=result,
        n=counts.n,
        p_value=p_value,
        power=power,
        detail={
            **paired.facts(),
            "level": level,
            "effect": 0.0,
            "needed": needed and max(needed, settings.min_questions),
            "reason": reason,
        },
    )
