"""Asks every question of the gate, once, and gathers the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loopwise.errors import UnknownNameError, UsageError
from loopwise.gate.noninferiority import noninferiority
from loopwise.gate.pairing import PairedScores, pair
from loopwise.gate.settings import GateSettings
from loopwise.gate.superiority import superiority
from loopwise.types import Check, CheckResult, GateReport, JsonObject, Suite, SuiteRole, SuiteScores

CHECKS: dict[SuiteRole, tuple[Callable[[PairedScores, GateSettings], Check], ...]] = {
    "target": (superiority,),
    "anchor": (noninferiority,),
    "probe": (),
}  # a "final" suite is not here: no gate may read it

MOST_EXAMPLES = 10


def judge(
    champion: Mapping[str, SuiteScores],
    candidate: Mapping[str, SuiteScores],
    suites: Sequence[Suite],
    settings: GateSettings,
) -> GateReport:
    """The report on one candidate; ``champion`` and ``candidate`` map a suite's name to its scores.

    Passed means: the weights differ, every target is better and every anchor is proved not worse; at least one target.
    A target or anchor without scores from both is "not proved". Error is bounded for this one report; budgets over
    many turns are not its business. Raises UsageError for a final suite, two suites of one name, scores of mixed
    releases or that do not fit their suite; UnknownNameError for scores of a suite that is not among ``suites``."""
    _refuse_suites(suites, {*champion, *candidate})
    champion_name, champion_weights = _one_release("champion", champion)
    candidate_name, candidate_weights = _one_release("candidate", candidate)
    pairs: list[PairedScores] = []
    checks: list[Check] = []
    for suite in sorted(suites, key=lambda suite: suite.role != "target"):
        if suite.name in champion and suite.name in candidate:
            paired = pair(suite, champion[suite.name], candidate[suite.name])
            pairs.append(paired)
            checks.extend(check(paired, settings) for check in CHECKS[suite.role])
        elif CHECKS[suite.role]:
            reason = f"suite {suite.name!r} was not scored for both releases"
            checks.append(_unmeasured(f"scores:{suite.name}", f"Was {suite.name} asked?", "not proved", reason))
    if not any(suite.role == "target" for suite in suites):
        reason = "there is no target suite, so nothing can be shown to be better"
        checks.append(_unmeasured("target", "Is there a target suite?", "not proved", reason))
    if pairs:
        same = champion_weights == candidate_weights
        reason = "nothing changed: both have one fingerprint" if same else "the fingerprints differ"
        checks.append(_unmeasured("changed", "Did the weights change?", "failed" if same else "passed", reason))
    return GateReport(champion_name, candidate_name, tuple(checks), _worst(pairs))


def _unmeasured(name: str, question: str, result: CheckResult, reason: str) -> Check:
    """A check that no question was asked for: ``n`` is 0 and its figures mean nothing."""
    return Check(name, question, 0.0, 0.0, 0.0, 0.0, result, 0, detail={"reason": reason})


def _one_release(role: str, scores: Mapping[str, SuiteScores]) -> tuple[str, str]:
    """Name and fingerprint that all suites agree on; empty strings where there are no scores."""
    releases = {(given.release, given.fingerprint) for given in scores.values()}
    if len(releases) > 1:
        listed = ", ".join(f"{name} ({fingerprint})" for name, fingerprint in sorted(releases))
        raise UsageError(f"The {role}'s scores come from several weights: {listed}. Score one release on every suite.")
    return releases.pop() if releases else ("", "")


def _refuse_suites(suites: Sequence[Suite], scored: set[str]) -> None:
    names = [suite.name for suite in suites]
    for suite in suites:
        if suite.role == "final":
            raise UsageError(
                f"Suite {suite.name!r} has the role final, which no gate may read: leave it out of what is judged."
            )
        if names.count(suite.name) > 1:
            raise UsageError(f"Two suites are called {suite.name!r}: give each its own name.")
    unknown = sorted(scored - set(names))
    if unknown:
        known = ", ".join(sorted(names)) or "none"
        raise UnknownNameError(
            f"There are scores for the suite {unknown[0]!r}, which the gate was not given ({known})."
        )


def _worst(pairs: Sequence[PairedScores]) -> tuple[JsonObject, ...]:
    """Answers lost, the worst of each suite in turn, so that one suite does not crowd out the others."""
    ranked: list[tuple[int, int, JsonObject]] = []
    for place, paired in enumerate(pairs):
        scores = zip(paired.champion.scores, paired.candidate.scores, strict=True)
        lost = [i for i, (before, after) in enumerate(scores) if before >= 1.0 > after]
        lost.sort(key=lambda i: paired.candidate.scores[i])
        ranked.extend((rank, place, _example(paired, i)) for rank, i in enumerate(lost[:MOST_EXAMPLES]))
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(example for _, _, example in ranked[:MOST_EXAMPLES])


def _example(paired: PairedScores, i: int) -> JsonObject:
    problem = paired.suite.problems[i]
    return {
        "suite": paired.suite.name,
        "prompt": "\n".join(str(message.get("content", "")) for message in problem.messages),
        "reference": problem.reference,
        "champion": paired.champion.answers[i] if paired.champion.answers else None,
        "candidate": paired.candidate.answers[i] if paired.candidate.answers else None,
    }
