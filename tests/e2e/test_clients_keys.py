"""Clients with and without a right to call: what the official client and ours make of keys, roles and limits."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import openai
import pytest

import loopwise
from loopwise.errors import BusyError, RefusedError
from loopwise.store import Store, keys

ASKED: Any = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}]}


@dataclass(frozen=True)
class Locked:
    """A gateway that wants keys, and the texts of some: two app keys are limited to 60 requests a minute and to 1."""

    url: str
    operator: str
    app: str
    feedback: str
    sixty: str
    one: str


@pytest.fixture
def texts(store: Store) -> dict[str, str]:
    made: list[tuple[str, str, int | None]] = [
        ("operator", "operator", None),
        ("app", "app", None),
        ("feedback", "feedback", None),
        ("sixty", "app", 60),
        ("one", "app", 1),
    ]
    with store.writing() as conn:
        return {name: keys.make(conn, name, role, time.time(), per_minute=limit)[1] for name, role, limit in made}


@pytest.fixture
def locked(texts: dict[str, str], remote_gateway: str) -> Locked:
    return Locked(remote_gateway, **texts)


def client(gateway: str, text: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway}/v1", api_key=text, max_retries=retries)


def test_an_apps_key_calls_the_model_and_gives_feedback(locked: Locked):
    answer = client(locked.url, locked.app).chat.completions.create(**ASKED)
    with loopwise.Client(locked.url, api_key=locked.app) as ours:
        assert ours.thumbs(answer.id, 1).joined is True


def test_a_wrong_key_and_a_wrong_role_raise_the_clients_own_errors(locked: Locked):
    with pytest.raises(openai.AuthenticationError, match="not valid"):
        client(locked.url, "lw_wrong").chat.completions.create(**ASKED)
    with pytest.raises(openai.PermissionDeniedError, match="role 'feedback'"):
        client(locked.url, locked.feedback).chat.completions.create(**ASKED)
    with loopwise.Client(locked.url, api_key="lw_wrong") as ours, pytest.raises(RefusedError, match="not valid"):
        ours.thumbs("ex_1", 1)


def test_a_judge_wants_an_operators_key(locked: Locked):
    with loopwise.Client(locked.url, api_key=locked.app) as ours, pytest.raises(RefusedError) as caught:
        ours.rating("ex_1", 0.9, scale=(0, 1), source="judge")
    assert caught.value.status == 403
    with loopwise.Client(locked.url, api_key=locked.operator) as ours:
        assert ours.rating("ex_1", 0.9, scale=(0, 1), source="judge").ids


def test_clients_wait_for_their_turn_where_a_key_is_limited(locked: Locked):
    with loopwise.Client(locked.url, api_key=locked.sixty, retries=1) as ours:
        _exhaust(locked)
        assert ours.thumbs("ex_1", 1).ids
    _exhaust(locked)
    answer = client(locked.url, locked.sixty, retries=1).chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "their-model hears hi"


def _exhaust(locked: Locked) -> None:
    """Sends until the key has no request left; sixty may go at once, then one a second."""
    with loopwise.Client(locked.url, api_key=locked.sixty, retries=0) as hasty, suppress(BusyError):
        for _ in range(1_000):
            hasty.thumbs("ex_1", 1)
        pytest.fail("the key is not limited")


def test_a_limit_of_minutes_is_told_at_once(locked: Locked):
    with loopwise.Client(locked.url, api_key=locked.one) as ours:
        ours.thumbs("ex_1", 1)
        began = time.monotonic()
        with pytest.raises(BusyError, match="1 requests per minute"):
            ours.thumbs("ex_1", 1)
        assert time.monotonic() - began < 1.0
