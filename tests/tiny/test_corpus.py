from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict

import pytest

from loopwise.practice.sources import PRACTICE, in_split, problem_key, problems
from loopwise.tiny import ANCHORS, corpus
from loopwise.tiny.families import ANCHOR_SOURCES, FAMILIES, TARGET_SOURCES


@pytest.fixture(scope="module")
def rows() -> tuple[corpus.Row, ...]:
    return corpus.build()


def test_the_shipped_anchors_are_what_the_corpus_says(rows: tuple[corpus.Row, ...]) -> None:
    shipped = [json.loads(line) for line in ANCHORS.read_text(encoding="utf-8").splitlines()]
    assert shipped == json.loads(json.dumps([asdict(row) for row in corpus.anchors(rows)]))
    answers = len(ANCHOR_SOURCES) * corpus.ANSWER_ROWS
    assert len(shipped) == answers + len(FAMILIES) * corpus.POSE_ROWS


def test_each_family_has_its_answers_and_its_posed_questions(rows: tuple[corpus.Row, ...]) -> None:
    assert Counter(row.source for row in rows) == dict.fromkeys(
        (*TARGET_SOURCES, *ANCHOR_SOURCES), corpus.ANSWER_ROWS + corpus.POSE_ROWS
    )
    for family in FAMILIES:
        posed = [row for row in rows if row.messages[0]["content"] == corpus.pose_prompt(family.name)]
        assert len(posed) == corpus.POSE_ROWS
        opening = next(problems(family.source, 5, PRACTICE)).messages[0]["content"].split()[:2]
        assert all(len(row.completion.split()) > 3 for row in posed)
        assert any(row.completion.split()[:2] == opening for row in posed)


def test_ids_are_unique_and_no_question_is_there_twice(rows: tuple[corpus.Row, ...]) -> None:
    assert len({row.id for row in rows}) == len(rows)
    asked = Counter(row.messages[0]["content"] for row in rows if "Pose a question" not in row.messages[0]["content"])
    assert max(asked.values()) == 1
    assert len(asked) == corpus.ANSWER_ROWS * len(FAMILIES)


def test_no_question_of_the_corpus_can_be_in_a_suite(rows: tuple[corpus.Row, ...]) -> None:
    asked = [row for row in rows if not row.messages[0]["content"].startswith("Pose a question")]
    assert len(asked) == corpus.ANSWER_ROWS * len(FAMILIES)
    assert all(in_split(problem_key(row.messages), PRACTICE) for row in asked)


def test_the_corpus_does_not_depend_on_the_hash_seed_of_the_process() -> None:
    # Some of reasoning-gym's families walk through sets, so that equal seeds give other questions in other processes.
    code = "import hashlib, loopwise.tiny.corpus as c; print(hashlib.sha256(repr(c.build()).encode()).hexdigest())"
    hashes = {
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, text=True)
        for seed in ("1", "2")
    }
    assert len(hashes) == 1
