from __future__ import annotations

import dataclasses

import pytest

from loopwise.config import PracticeSettings
from loopwise.errors import SettingsError
from loopwise.practice.practise import Plan, chunk_seed, practise
from loopwise.practice.sources import in_split
from loopwise.suites import make, overlap
from loopwise.verify.pool import VerifierPool

PLAN = Plan(("reasoning-gym:gcd",), n_problems=70, k=4, seed=5, held_out_keys=frozenset(), chunk_size=20)


def test_chunks_hold_all_problems_once_in_fixed_sizes(engine, pool: VerifierPool):
    chunks = list(practise(engine, pool, "0.5", PLAN))
    assert [(c.index, len(c.judged)) for c in chunks] == [(0, 20), (1, 20), (2, 20), (3, 10)]
    keys = [j.problem.key for c in chunks for j in c.judged]
    assert len(set(keys)) == 70
    assert all(in_split(key, "practice") for key in keys)
    assert all(len(j.attempts) == 4 for c in chunks for j in c.judged)
    assert {a.fingerprint for c in chunks for j in c.judged for a in j.attempts} == {"sha256:0.5"}
    assert [c.seed for c in chunks] == [chunk_seed(5, i) for i in range(4)]
    assert len({c.seed for c in chunks}) == 4


@pytest.mark.parametrize("done", [{0}, {1, 2}, {0, 1, 2}, {0, 1, 2, 3}])
def test_a_resumed_run_makes_the_same_chunks_and_only_those_that_are_missing(
    engine, pool: VerifierPool, done: set[int]
):
    whole = list(practise(engine, pool, "0.5", PLAN))
    engine.prompts_seen.clear()
    rest = list(practise(engine, pool, "0.5", PLAN, skip=done))
    assert rest == [c for c in whole if c.index not in done]
    assert engine.prompts_seen == [len(c.judged) for c in rest]


def test_another_seed_is_other_problems_and_other_attempts(engine, pool: VerifierPool):
    one, other = (next(practise(engine, pool, "0.5", dataclasses.replace(PLAN, seed=s))) for s in (5, 6))
    assert {j.problem.key for j in one.judged}.isdisjoint({j.problem.key for j in other.judged})
    assert one.seed != other.seed


def test_practice_and_suites_of_one_source_share_nothing(engine, pool: VerifierPool):
    specs = ["reasoning-gym:gcd?min_value=1&max_value=40"]  # few enough that another rule would collide
    suites = [make("t", "target", specs, 60, seed=5), make("f", "final", specs, 40, seed=5)]
    held_out = frozenset(p.key for s in suites for p in s.problems)
    plan = dataclasses.replace(PLAN, specs=tuple(specs), n_problems=300, k=1, held_out_keys=held_out)
    keys = [j.problem.key for c in practise(engine, pool, "0.5", plan) for j in c.judged]
    assert len(keys) == 300
    assert overlap(keys, suites) == {}


def test_a_held_out_problem_stops_practice_before_it_is_attempted(engine, pool: VerifierPool):
    third = list(practise(engine, pool, "0.5", PLAN))[2].judged[3].problem.key
    engine.prompts_seen.clear()
    guarded = practise(engine, pool, "0.5", dataclasses.replace(PLAN, held_out_keys=frozenset({third})), skip={0})
    assert next(guarded).index == 1
    with pytest.raises(SettingsError, match=f"problem {third} of the source 'reasoning-gym:gcd' is in a suite, too"):
        next(guarded)
    assert engine.prompts_seen == [20]


def test_a_small_source_gives_what_it_has(engine, pool: VerifierPool):
    small = "reasoning-gym:gcd?min_value=1&max_value=6"
    plan = dataclasses.replace(PLAN, specs=(small, "reasoning-gym:gcd"), n_problems=100)
    judged = [j for c in practise(engine, pool, "0.5", plan) for j in c.judged]
    n_small = sum(j.problem.source == small for j in judged)
    assert len(judged) == 100
    assert 5 < n_small < 36
    assert len(list(practise(engine, pool, "0.5", dataclasses.replace(PLAN, specs=(small,))))) == -(-n_small // 20)


def test_no_source_is_no_practice(engine, pool: VerifierPool):
    assert list(practise(engine, pool, "0.5", dataclasses.replace(PLAN, specs=()))) == []


def test_the_settings_make_the_plan():
    settings = PracticeSettings(sources=["reasoning-gym:gcd"], problems=30, attempts=6, temperature=0.8, max_tokens=9)
    plan = Plan.of(settings, 7, frozenset({"x"}))
    assert plan == Plan(("reasoning-gym:gcd",), 30, 6, 7, frozenset({"x"}), temperature=0.8, max_tokens=9)
