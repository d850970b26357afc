"""Rows with anything in any place: each is parsed or refused with a sentence, and what was parsed can be stored."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from loopwise.gateway.brought import parse_brought
from loopwise.gateway.errors import ApiError
from loopwise.gateway.opinion import EXPECTED, parse_opinion
from loopwise.store import Store, exchanges, feedback

TEXTS = ["", "x", "\0", "a\0b", "\u2028", "x" * 600, "ex_1", "2026-01-01T00:00:00Z", "2026-13-01"]
NUMBERS = [0, 1, -1, 1.0, 0.5, -(2**63), 2**63, 2**70, 1e308, 10**400, True, False]
OBJECTS: list[Any] = [
    None, [], {}, [None], [1, 5], [5, 1], ["a"], [[]], {"chosen": "a", "rejected": "b"}, {"chosen": 0, "rejected": 1},
    {"role": "user", "content": "q"}, [{"role": "user", "content": "q"}], [{"role": 1}], [{}],
    {"messages": [{"role": "user"}]}, {"messages": 1}, {"prompt": []}, {"input": "x", "user": 1}, {"metadata": 1},
    {"messages": [{"role": "user"}], "store": False, "user": "u", "metadata": {"episode_id": 1}},
    {"choices": []}, {"choices": [1]}, {"choices": [{"message": {}}]}, {"choices": [{"message": 1}]}, {"output": []},
    {"id": 1, "choices": [{"message": {}}]}, {"id": "x", "output": [{}]}, {"data": [{}]}, {"data": 1}, {"a": {"b": []}},
]  # fmt: skip
JUNK: list[Any] = [*TEXTS, *NUMBERS, *OBJECTS]
OPINION = ("kind", "value", "exchange_id", "episode_id", "choice", "source", "user", "comment", "id", "at",
           "supersedes", "metadata", "scale", "name", "unknown")  # fmt: skip
BROUGHT = ("id", "at", "model", "endpoint", "request", "messages", "response", "choices", "content", "user", "status",
           "episode_id", "latency_s", "first_token_s", "usage", "error", "train", "store", "metadata")  # fmt: skip
ENDPOINTS = ("chat.completions", "completions", "responses", "embeddings")


@pytest.fixture
def empty(tmp_path: Path) -> Any:
    store = Store("sqlite:///loopwise.db", tmp_path, create=True)
    yield store
    store.close()


def test_feedback_with_anything_in_it(empty: Store):
    rng, kinds, parsed, refused = random.Random(3), list(EXPECTED), [], []
    for _ in range(20_000):
        row: dict[str, Any] = {"exchange_id": "e", "kind": rng.choice(kinds)}
        for field in rng.sample(OPINION, rng.randint(0, 4)):
            row[field] = rng.choice(JUNK)
        try:
            parsed.append(parse_opinion(row, "", b"key", operator=True))
        except ApiError as error:
            refused.append((error.status, error.message[-1]))
    assert set(refused) == {(400, ".")}
    assert len(parsed) > 1_000
    with empty.writing() as conn:
        feedback.add(conn, parsed)


def test_exchanges_with_anything_in_them(empty: Store):
    rng, parsed, refused = random.Random(5), [], []
    for _ in range(20_000):
        row: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}], "content": "a"}
        for field in rng.sample(BROUGHT, rng.randint(0, 4)):
            row[field] = rng.choice(ENDPOINTS) if field == "endpoint" else rng.choice(JUNK)
        for field in rng.sample(("messages", "content"), rng.randint(0, 2)):
            row.pop(field, None)
        try:
            parsed.append(parse_brought(row, "", b"key"))
        except ApiError as error:
            refused.append((error.status, error.message[-1]))
    assert set(refused) == {(400, ".")}
    assert len(parsed) > 1_000
    with empty.writing() as conn:
        exchanges.add(conn, parsed)
