from __future__ import annotations

import math
import re

import pytest

from loopwise.errors import EngineError
from loopwise.practice.rollout import GREEDY, rollout, score_suite
from loopwise.practice.sources import take
from loopwise.suites import make
from loopwise.types import Engine, Problem, SamplingParams
from loopwise.verify.pool import VerifierPool


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return take(["reasoning-gym:gcd"], 50, 1, "practice")


def test_attempts_and_verdicts_belong_to_their_problems(engine: Engine, pool: VerifierPool, problems: list[Problem]):
    judged = rollout(engine, pool, "0.6", problems, SamplingParams(n=6, seed=3, logprobs=True))
    assert [j.problem for j in judged] == problems
    for group in judged:
        numbers = re.findall(r"\d+", group.problem.messages[0]["content"])
        truth = [int(a.text) == math.gcd(*map(int, numbers)) for a in group.attempts]
        assert [v.right for v in group.verdicts] == truth
        assert [a.index for a in group.attempts] == list(range(6))
        assert {(a.problem_key, a.release, a.fingerprint) for a in group.attempts} == {
            (group.problem.key, "0.6", "sha256:0.6")
        }
        assert [a.logprob for a in group.attempts] == [-0.5 * len(a.text) for a in group.attempts]
    # 300 attempts, right with probability 0.6: 180 ± 8.5, four standard deviations are 34.
    assert 146 <= sum(j.n_right for j in judged) <= 214


def test_the_seed_decides_the_attempts(engine: Engine, pool: VerifierPool, problems: list[Problem]):
    one, again, other = (rollout(engine, pool, "0.5", problems, SamplingParams(n=4, seed=s)) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_weights_that_change_under_a_name_are_an_error(engine, pool: VerifierPool, problems: list[Problem]):
    engine.fingerprints = ["sha256:a", "sha256:b"]
    with pytest.raises(EngineError, match=r"weights behind the release '0.5' changed while it was sampled"):
        rollout(engine, pool, "0.5", problems, SamplingParams())


def test_an_engine_that_loses_a_completion_is_an_error(engine, pool: VerifierPool, problems: list[Problem]):
    class Loses(type(engine)):
        def sample(self, release, prompts, params):
            return super().sample(release, prompts, params)[:-1]

    with pytest.raises(EngineError, match="did not give 2 completions for each of 50 prompts"):
        rollout(Loses(), pool, "0.5", problems, SamplingParams(n=2))


def test_a_suite_is_scored_greedily_in_its_order(engine: Engine, pool: VerifierPool):
    suite = make("t", "target", ["reasoning-gym:gcd"], 30, seed=1)
    right, wrong = score_suite(engine, pool, "0.9", suite), score_suite(engine, pool, "0.1", suite)
    assert (right.scores, wrong.scores) == ((1.0,) * 30, (0.0,) * 30)
    assert [a.strip() for a in right.answers] == [p.reference for p in suite.problems]
    assert (right.suite, right.version, right.release, right.fingerprint) == ("t", suite.version, "0.9", "sha256:0.9")
    assert SamplingParams(n=1, temperature=0.0) == GREEDY


def test_partial_credit_counts_as_wrong_and_several_attempts_as_their_share(engine: Engine, pool: VerifierPool):
    suite = make("t", "target", ["reasoning-gym:gcd"], 20, seed=1)
    sampled = score_suite(engine, pool, "0.5", suite, params=SamplingParams(n=4, seed=1))
    judged = rollout(engine, pool, "0.5", suite.problems, SamplingParams(n=4, seed=1))
    assert sampled.scores == tuple(sum(v.score == 1.0 for v in j.verdicts) / 4 for j in judged)
    assert set(sampled.scores) <= {0, 0.25, 0.5, 0.75, 1}
    assert 0 < sum(sampled.scores) < 20


def test_nothing_to_attempt_is_no_groups(engine: Engine, pool: VerifierPool):
    assert rollout(engine, pool, "0.5", [], SamplingParams()) == []
