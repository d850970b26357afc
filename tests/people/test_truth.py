"""A real gateway, which sees for itself what people do: the truth is told of every feedback that its store has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from loopwise.errors import EngineError
from loopwise.people import Address, Use, population, simulate
from loopwise.people.settings import parse
from loopwise.store import Store, feedback as stored, keys
from loopwise.types import Exchange, Feedback, Problem

from .chance import within

PROBLEMS = [
    Problem(str(i), "test", ({"role": "user", "content": f"{i} + {i}?"},), str(2 * i), "exact") for i in range(1_000)
]
EVERYBODY = """
[groups.honest]
behavior = "honest"
share = 0.6
implicit = { copy = [0.5, 0.1], regenerate = [0.1, 0.5], follow_up = [0.3, 0.3], abandon = [0.1, 0.1] }
[groups.raters]
behavior = "rater"
share = 0.2
[groups.editors]
behavior = "editor"
share = 0.2
[groups.cats]
behavior = "copy_cat"
count = 3
[groups.evil]
behavior = "attacker"
count = 2
events = 20
target = "7"
"""


class StoppedError(Exception):
    """As by the keyboard."""


def echoes_rightly(problem: Problem, text: str) -> bool:
    """The scripted model echoes; by decree that is right where the number is a multiple of three."""
    return text == problem.reference or (text.startswith("tiny@0 hears") and int(problem.key) % 3 == 0)


def judge(pairs: Sequence[tuple[Problem, str]]) -> list[bool]:
    return [echoes_rightly(problem, text) for problem, text in pairs]


def rows_of(store: Store) -> dict[str, Feedback]:
    with store.reading() as conn:
        return {row.id: row for _, row in stored.up_to(conn, stored.watermark(conn))}


async def test_the_truth_is_told_of_every_feedback_that_the_store_has(
    gateway: str, store: Store, tmp_path: Path, recorded: Callable[[], list[Exchange]]
):
    people = population(10, 1, parse(EVERYBODY, "x"))
    use = Use(PROBLEMS, people, 150, 1, verified=0.3)
    with (tmp_path / "truth.jsonl").open("w") as truth:
        counts = await simulate(Address(gateway), use, judge=judge, truth=truth)
    told = {row["feedback"]: row for row in map(json.loads, (tmp_path / "truth.jsonl").read_text().splitlines())}
    rows = rows_of(store)
    assert told.keys() == rows.keys()
    text_of = {exchange.id: exchange.request["messages"][0]["content"] for exchange in recorded()}
    users: dict[str, set[str | None]] = {}
    for id, row in rows.items():
        said = told[id]
        assert (row.exchange_id, row.kind) == (said["exchange"], said["kind"])
        assert (row.source == "verifier") == (said["group"] == "verifier")
        number = int(text_of[said["exchange"]].split()[0])
        assert said["truth"] == ("right" if number % 3 == 0 else "wrong")
        users.setdefault(said["user"], set()).add(row.user)
    assert all(len(found) == 1 for found in users.values())  # a pseudonym each
    assert {row.kind for row in rows.values()} == {
        "thumbs", "correction", "edit", "rating", "copy", "regenerate", "follow_up", "abandon",
    }  # fmt: skip
    assert len(recorded()) == counts.events + counts.again == 170 + counts.again
    poisoned = [said for said in told.values() if said["poisoned"]]
    assert Counter(said["user"] for said in poisoned) == dict(counts.poisoned)
    assert len(poisoned) == 20
    assert {said["group"] for said in poisoned} == {"evil"}
    assert within(counts.by_group["verifier"].said["thumbs"].n, 170, 0.3)
    assert counts.by_group["verifier"].said["thumbs"].false == 0


async def test_who_is_stopped_half_way_has_told_the_truth_about_all_that_was_recorded(
    gateway: str, store: Store, tmp_path: Path
):
    path = tmp_path / "truth.jsonl"
    with path.open("w") as truth:

        def stop(step: str, done: int, total: int) -> None:
            if done == 40:
                raise StoppedError

        use = Use(PROBLEMS, population(10, 1), 1_000, 1)
        with pytest.raises(StoppedError):
            await simulate(Address(gateway), use, judge=judge, truth=truth, progress=stop)
        told = {json.loads(line)["feedback"] for line in path.read_text().splitlines()}  # while it is still open
    assert len(rows_of(store)) >= 20
    assert rows_of(store).keys() <= told


async def test_who_meets_a_question_again_is_told_of_too(gateway: str, store: Store, tmp_path: Path):
    """To the gateway it looks as if they had asked for another answer."""
    use = Use(PROBLEMS[:100], population(3, 1), 200, 1)
    with (tmp_path / "truth.jsonl").open("w") as truth:
        counts = await simulate(Address(gateway), use, judge=judge, truth=truth)
    told = {row["feedback"]: row for row in map(json.loads, (tmp_path / "truth.jsonl").read_text().splitlines())}
    again = {id: row.exchange_id for id, row in rows_of(store).items() if row.kind == "regenerate"}
    assert len(again) > 10
    assert again == {id: row["exchange"] for id, row in told.items() if row["kind"] == "regenerate"}
    assert counts.by_kind["regenerate"].n == len(again)


async def test_a_checker_needs_an_operators_key_where_there_are_keys(
    store: Store, serve_store: Callable[[Store], AbstractContextManager[str]]
):
    with store.writing() as conn:
        _, app = keys.make(conn, "app", "app", 0.0)
        _, operator = keys.make(conn, "operator", "operator", 0.0)
    use = Use(PROBLEMS, population(3, 1), 20, 1, verified=1.0)
    with serve_store(store) as url:
        with pytest.raises(EngineError, match=r"status 403 .*'verifier' needs an operator's key.*--api-key-env"):
            await simulate(Address(url, app), use, judge=judge)
        counts = await simulate(Address(url, operator), use, judge=judge)
    assert counts.by_group["verifier"].said["thumbs"].n == 20
