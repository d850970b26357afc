"""How well practice went: pass@1 and pass@K, overall and by segment, and what it gives to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loopwise.practice.groups import split_groups, working_paths
from loopwise.stats.passk import pass_at_k
from loopwise.types import JsonObject, Judged


def report(judged: Iterable[Judged]) -> JsonObject:
    """Counts and pass rates, overall and under ``segments`` by segment.

    ``pass_at_1`` and ``pass_at_k`` are means over problems of the unbiased estimator, with ``k`` the number of attempts
    at each problem (the smallest, where they differ); None without problems. ``mixed``, ``all_right`` and ``all_wrong``
    count problems, ``kept`` the working paths that teach, ``failed`` the verdicts of verifiers that failed.
    """
    groups = list(judged)
    k = min((len(g.verdicts) for g in groups), default=0)
    segments = sorted({g.problem.segment for g in groups})
    return {
        **_rates(groups, k),
        "segments": {s: _rates([g for g in groups if g.problem.segment == s], k) for s in segments},
    }


def _rates(judged: Sequence[Judged], k: int) -> JsonObject:
    n_P = [len(g.verdicts) for g in judged]
    right_P = [g.n_right for g in judged]
    groups = split_groups(judged)
    return {
        "problems": len(judged),
        "attempts": sum(n_P),
        "k": k,
        "pass_at_1": float(pass_at_k(n_P, right_P, 1).mean()) if judged else None,
        "pass_at_k": float(pass_at_k(n_P, right_P, k).mean()) if judged else None,
        "mixed": len(groups.mixed),
        "all_right": len(groups.all_right),
        "all_wrong": len(groups.all_wrong),
        "kept": len(working_paths(groups)),
        "failed": sum(v.failed for g in judged for v in g.verdicts),
    }
