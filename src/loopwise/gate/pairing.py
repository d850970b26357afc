"""Champion and candidate on one suite, refused unless they answered the same questions in the same order."""

from __future__ import annotations

from dataclasses import dataclass

from loopwise.errors import UsageError
from loopwise.stats.paired import PairedCounts, count_discordant
from loopwise.types import JsonObject, Suite, SuiteScores


@dataclass(frozen=True)
class PairedScores:
    """Two releases on the questions of one suite; right means a score of 1."""

    suite: Suite
    champion: SuiteScores
    candidate: SuiteScores
    counts: PairedCounts

    def facts(self) -> JsonObject:
        """What every paired check reports besides its figures: both shares of right answers, and where they part."""
        n = self.counts.n
        return {
            "champion": sum(score >= 1.0 for score in self.champion.scores) / n,
            "candidate": sum(score >= 1.0 for score in self.candidate.scores) / n,
            "gains": self.counts.gains,
            "losses": self.counts.losses,
        }


def pair(suite: Suite, champion: SuiteScores, candidate: SuiteScores) -> PairedScores:
    """Pairs two releases' scores on a suite. The version is a hash of the questions in their order, so equal versions
    mean equal order. Raises UsageError unless names, versions and lengths agree with the suite's and scores lie in
    [0, 1]."""
    for role, scores in (("champion", champion), ("candidate", candidate)):
        _refuse_mismatch(suite, role, scores)
    return PairedScores(suite, champion, candidate, count_discordant(champion.scores, candidate.scores))


def _refuse_mismatch(suite: Suite, role: str, given: SuiteScores) -> None:
    n = len(suite.problems)
    if (given.suite, given.version) != (suite.name, suite.version):
        raise UsageError(
            f"The {role} {given.release!r} was scored on suite {given.suite!r} version {given.version!r}, the gate "
            f"reads {suite.name!r} version {suite.version!r}: scores compare within one version; score it again."
        )
    if len(given.scores) != n or len(given.answers) not in (0, n):
        raise UsageError(
            f"The {role} {given.release!r} has {len(given.scores)} scores and {len(given.answers)} answers on suite "
            f"{suite.name!r}, which has {n} questions: score it again, whole and in order."
        )
    if n == 0:
        raise UsageError(f"Suite {suite.name!r} has no questions, so nothing can be compared on it.")
    wrong = [score for score in given.scores if not 0.0 <= score <= 1.0]
    if wrong:
        raise UsageError(
            f"The {role} {given.release!r} has {len(wrong)} scores outside [0, 1] on suite {suite.name!r}, the first "
            f"is {wrong[0]}: look at the suite's verifier."
        )
