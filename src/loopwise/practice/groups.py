"""Which attempts teach: groups that are all right or all wrong are set aside, working paths of the others are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopwise.types import Attempt, Judged, Problem

MOST_PATHS = 2  # kept of one problem: a few ways to be right, without one problem outweighing others


@dataclass(frozen=True)
class Groups:
    """The attempts at each problem, sorted by what they teach."""

    mixed: tuple[Judged, ...]  # some right, some wrong: these teach
    all_right: tuple[Judged, ...]
    all_wrong: tuple[Judged, ...]


@dataclass(frozen=True)
class WorkingPath:
    """An attempt that a verifier gave full marks, with its problem."""

    problem: Problem
    attempt: Attempt


def split_groups(judged: Iterable[Judged]) -> Groups:
    """Sorts problems by whether their attempts are all right, all wrong, or mixed.

    Partial credit counts as wrong; the verdict of a verifier that failed does not count either way.
    """
    mixed: list[Judged] = []
    all_right: list[Judged] = []
    all_wrong: list[Judged] = []
    for group in judged:
        told = [verdict.right for verdict in group.verdicts if not verdict.failed]
        if not any(told):
            all_wrong.append(group)
        elif all(told):
            all_right.append(group)
        else:
            mixed.append(group)
    return Groups(tuple(mixed), tuple(all_right), tuple(all_wrong))


def working_paths(groups: Groups, m: int = MOST_PATHS) -> list[WorkingPath]:
    """At most ``m`` right attempts with different texts for each mixed group, the earliest first; none that was cut
    off, whatever its verdict."""
    return [WorkingPath(group.problem, attempt) for group in groups.mixed for attempt in _distinct_right(group)[:m]]


def _distinct_right(group: Judged) -> list[Attempt]:
    by_text: dict[str, Attempt] = {}
    for attempt, verdict in zip(group.attempts, group.verdicts, strict=True):
        if verdict.right and attempt.finish_reason == "stop":
            by_text.setdefault(attempt.text, attempt)
    return list(by_text.values())
