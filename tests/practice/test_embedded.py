"""Practice and a suite on the embedded model itself, sampled in processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import loopwise.tiny
from loopwise.engine.embedded.local import LocalEngine
from loopwise.practice.practise import Plan, practise, report
from loopwise.practice.rollout import score_suite
from loopwise.suites import make, overlap
from loopwise.verify.pool import VerifierPool

SPECS = (
    "reasoning-gym:spell_backward?min_word_len=3&max_word_len=6",
    "reasoning-gym:palindrome_generation?min_length=3&max_length=6",
    "reasoning-gym:leg_counting?min_animals=1&max_animals=2&min_instances=1&max_instances=5",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(Path(loopwise.tiny.__file__).parent / "model", models / "base")
    with LocalEngine(models, processes=1) as engine:
        yield engine


def test_the_embedded_model_practises_and_is_scored(tiny: LocalEngine, pool: VerifierPool):
    suite = make("target", "target", SPECS, 150, seed=1)
    held_out = frozenset(p.key for p in suite.problems)
    plan = Plan(SPECS, 150, 4, 1, held_out, max_tokens=32, chunk_size=75)
    chunks = list(practise(tiny, pool, "base", plan))
    judged = [j for c in chunks for j in c.judged]
    rates = report(judged)

    assert list(practise(tiny, pool, "base", plan, skip={0})) == chunks[1:]
    assert overlap((j.problem.key for j in judged), [suite]) == {}
    assert (rates["problems"], rates["attempts"], rates["failed"]) == (150, 600, 0)
    # It is mediocre on purpose: some answers are right, far from all, and more within four attempts than at one.
    assert 0.05 < rates["pass_at_1"] < rates["pass_at_k"] < 0.98
    assert rates["mixed"] > 0

    scores = score_suite(tiny, pool, "base", suite)
    assert scores == score_suite(tiny, pool, "base", suite)
    assert scores.fingerprint == tiny.fingerprint("base") == chunks[0].judged[0].attempts[0].fingerprint
    assert set(scores.scores) == {0.0, 1.0}
    right = [p.reference for p, s in zip(suite.problems, scores.scores, strict=True) if s and "leg" in p.segment]
    given = [
        a.strip()
        for p, a, s in zip(suite.problems, scores.answers, scores.scores, strict=True)
        if s and "leg" in p.segment
    ]
    assert given == right != []
