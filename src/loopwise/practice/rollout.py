"""Alone samples and judges, for practice and for suites."""

from __future__ import annotations

from collections.abc import Sequence

from loopwise.errors import EngineError
from loopwise.types import (
    Attempt,
    Completion,
    Engine,
    Judged,
    Problem,
    Progress,
    SamplingParams,
    Suite,
    SuiteScores,
)
from loopwise.verify.pool import VerifierPool

GREEDY = SamplingParams(n=1, temperature=0.0)


def rollout(
    engine: Engine,
    pool: VerifierPool,
    release: str,
    problems: Sequence[Problem],
    params: SamplingParams,
    progress: Progress | None = None,
) -> list[Judged]:
    """``params.n`` attempts of ``release`` at each problem, with their verdicts, in order.

    Raises EngineError when the engine fails, gives another number of completions, or changes weights meanwhile, and
    what ``VerifierPool.judge`` raises. A verifier that fails is a verdict.
    """
    if not problems:
        return []
    fingerprint = engine.fingerprint(release)
    completions_P = engine.sample(release, [p.messages for p in problems], params)
    if len(completions_P) != len(problems) or any(len(c) != params.n for c in completions_P):
        raise EngineError(f"The engine did not give {params.n} completions for each of {len(problems)} prompts.")
    if engine.fingerprint(release) != fingerprint:
        raise EngineError(
            f"The weights behind the release {release!r} changed while it was sampled; give new weights a new name."
        )
    attempts_P = [
        tuple(_attempt(problem, i, c, release, fingerprint) for i, c in enumerate(completions))
        for problem, completions in zip(problems, completions_P, strict=True)
    ]
    pairs = [(p, a.text) for p, attempts in zip(problems, attempts_P, strict=True) for a in attempts]
    verdicts = iter(pool.judge(pairs, progress))
    return [
        Judged(problem, attempts, tuple(next(verdicts) for _ in attempts))
        for problem, attempts in zip(problems, attempts_P, strict=True)
    ]


def score_suite(
    engine: Engine,
    pool: VerifierPool,
    release: str,
    suite: Suite,
    progress: Progress | None = None,
    params: SamplingParams = GREEDY,
) -> SuiteScores:
    """Scores of ``release`` on ``suite``: for each problem the share of right attempts, 1.0 or 0.0 with one attempt.

    Partial credit counts as wrong. ``answers`` are the first attempts. Raises what ``rollout`` raises.
    """
    judged = rollout(engine, pool, release, suite.problems, params, progress)
    return SuiteScores(
        suite=suite.name,
        version=suite.version,
        release=release,
        fingerprint=judged[0].attempts[0].fingerprint if judged else engine.fingerprint(release),
        scores=tuple(j.n_right / len(j.attempts) for j in judged),
        answers=tuple(j.attempts[0].text for j in judged),
    )


def _attempt(problem: Problem, index: int, completion: Completion, release: str, fingerprint: str) -> Attempt:
    return Attempt(
        problem_key=problem.key,
        index=index,
        text=completion.text,
        finish_reason=completion.finish_reason,
        tokens=completion.tokens,
        logprob=None if completion.logprobs is None else sum(completion.logprobs),
        release=release,
        fingerprint=fingerprint,
    )
