from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from scipy.stats import binom
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from loopwise.errors import EngineError, UsageError
from loopwise.people import Address, Person, population, simulate
from loopwise.types import Problem

FALSE_FAILURES = 1e-6  # of one limit below, were its seed drawn anew

PROBLEMS = [
    Problem(str(i), "test", ({"role": "user", "content": f"{i} + {i}?"},), str(2 * i), "exact") for i in range(5_000)
]


def is_right(problem: Problem, text: str) -> bool:
    return text == problem.reference


@dataclass
class Gateway:
    """A gateway that answers sums, 60 % of them rightly, and keeps what it gets."""

    url: str = ""
    key: str | None = None
    failing_every: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    said: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    truth: dict[str, bool] = field(default_factory=dict[str, bool])  # by exchange

    async def chat(self, request: Request) -> JSONResponse:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "no such key"}}, 401)
        body = await request.json()
        self.asked.append(body)
        if self.failing_every and len(self.asked) % self.failing_every == 0:
            return JSONResponse({"error": {"message": "busy"}}, 503)
        number = int(body["messages"][0]["content"].split()[0])
        right = hashlib.sha256(f"{number} {body['user']}".encode()).digest()[0] < 0.6 * 256
        exchange = f"chatcmpl-{len(self.asked)}"
        self.truth[exchange] = right
        message = {"role": "assistant", "content": str(2 * number if right else 2 * number + 1)}
        return JSONResponse({"id": exchange, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def feedback(self, request: Request) -> JSONResponse:
        self.said.append(await request.json())
        return JSONResponse({"ids": [f"fb-{len(self.said)}"]})


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    routes = [
        Route("/v1/chat/completions", gateway.chat, methods=["POST"]),
        Route("/v1/feedback", gateway.feedback, methods=["POST"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield gateway
    server.should_exit = True
    thread.join()
    listener.close()


def limits(n: int, p: float) -> tuple[float, float]:
    return binom.ppf(FALSE_FAILURES / 2, n, p), binom.isf(FALSE_FAILURES / 2, n, p)


async def test_what_arrives_is_what_is_counted_and_at_the_rates_of_each_kind(gateway: Gateway):
    people = population(40, seed=3)
    counts = await simulate(Address(gateway.url), PROBLEMS, people, events=2_000, seed=3, is_right=is_right)
    kind_of = {p.id: p.kind for p in people}

    assert len(gateway.asked) == 2_000
    assert sorted(b["messages"][0]["content"] for b in gateway.asked) == sorted(
        p.messages[0]["content"] for p in PROBLEMS[:2_000]
    )
    assert {(b["model"], b["temperature"]) for b in gateway.asked} == {("loopwise", 0.7)}
    assert counts.by_kind == Counter(kind_of[b["user"]] for b in gateway.asked)
    assert counts.right == sum(gateway.truth.values())

    thumbs = [s for s in gateway.said if s["kind"] == "thumbs"]
    corrections = [s for s in gateway.said if s["kind"] == "correction"]
    assert len(thumbs) + len(corrections) == len(gateway.said)
    assert (counts.thumbs_up, counts.thumbs_down) == tuple(sum(t["value"] == v for t in thumbs) for v in (1, -1))
    assert counts.corrections == len(corrections)
    assert counts.errors == 0

    contrary: dict[str, list[bool]] = {"honest": [], "noisy": [], "careless": []}
    for t in thumbs:
        contrary[kind_of[t["user"]]].append((t["value"] > 0) != gateway.truth[t["exchange_id"]])
    assert counts.false_thumbs == sum(sum(c) for c in contrary.values())
    assert sum(contrary["honest"]) == 0
    mean_noise = sum(p.noise for p in people if p.kind == "noisy") / 8
    for kind, noise in (("noisy", mean_noise), ("careless", 0.5)):
        low, high = limits(len(contrary[kind]), noise)
        assert low <= sum(contrary[kind]) <= high
    low, high = limits(2_000, 0.9)
    assert low <= len(thumbs) <= high

    number_of = {f"chatcmpl-{i}": int(b["messages"][0]["content"].split()[0]) for i, b in enumerate(gateway.asked, 1)}
    wrong = [c for c in corrections if c["value"] != str(2 * number_of[c["exchange_id"]])]
    assert counts.false_corrections == len(wrong) > 0
    assert {kind_of[c["user"]] for c in wrong} == {"noisy"}
    assert "careless" not in {kind_of[c["user"]] for c in corrections}


async def test_feedback_names_the_exchange_and_the_person_who_asked(gateway: Gateway):
    await simulate(Address(gateway.url), PROBLEMS, population(10, 1), events=200, seed=1, is_right=is_right)
    asker = {f"chatcmpl-{i}": b["user"] for i, b in enumerate(gateway.asked, 1)}
    assert all(asker[s["exchange_id"]] == s["user"] for s in gateway.said)
    assert {frozenset(s) for s in gateway.said} == {frozenset({"exchange_id", "user", "kind", "value"})}


async def test_the_seed_decides_who_asks_and_what_they_say(gateway: Gateway):
    people = population(10, 1)
    runs: list[Counter[tuple[str, str, str]]] = []
    for seed in (1, 1, 2):
        gateway.asked.clear()
        gateway.said.clear()
        await simulate(Address(gateway.url), PROBLEMS, people, 150, seed, is_right=is_right)
        runs.append(Counter((s["user"], s["kind"], str(s["value"])) for s in gateway.said))
    assert runs[0] == runs[1] != runs[2]


async def test_problems_start_again_when_they_end_and_progress_is_told(gateway: Gateway):
    seen: list[tuple[str, int, int]] = []
    await simulate(
        Address(gateway.url),
        PROBLEMS[:3],
        population(3, 1),
        7,
        1,
        is_right=is_right,
        progress=lambda *s: seen.append(s),
    )
    assert Counter(b["messages"][0]["content"] for b in gateway.asked) == {"0 + 0?": 3, "1 + 1?": 2, "2 + 2?": 2}
    assert seen == [("simulate", i, 7) for i in range(1, 8)]


async def test_a_failing_gateway_is_counted_and_people_go_on(gateway: Gateway):
    gateway.failing_every = 4
    counts = await simulate(Address(gateway.url), PROBLEMS, population(5, 1), events=100, seed=1, is_right=is_right)
    assert (counts.errors, len(gateway.truth)) == (25, 75)


async def test_a_gateway_that_serves_nothing_is_an_error(gateway: Gateway):
    gateway.failing_every = 1
    with pytest.raises(EngineError, match="answered none of 5 questions"):
        await simulate(Address(gateway.url), PROBLEMS, population(5, 1), events=5, seed=1, is_right=is_right)


async def test_an_unreachable_gateway_is_a_sentence_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(EngineError, match=rf"No gateway answers at {url} .*; start one with 'loopwise up'"):
        await simulate(Address(url), PROBLEMS, population(5, 1), events=50, seed=1, is_right=is_right)


async def test_a_refusal_is_a_sentence_with_its_status(gateway: Gateway):
    gateway.key = "secret"
    people = [Person("p", "honest", 0.0, 1.0, 1.0)]
    with pytest.raises(EngineError, match=r"status 401 .*; name the variable .* --api-key-env") as caught:
        await simulate(Address(gateway.url), PROBLEMS, people, 5, 1, is_right=is_right)
    assert caught.value.status == 401
    counts = await simulate(Address(gateway.url, "secret"), PROBLEMS, people, 5, 1, is_right=is_right)
    assert (counts.events, counts.errors) == (5, 0)


async def test_nobody_or_nothing_to_ask_is_an_error():
    with pytest.raises(UsageError, match="at least one problem and one person"):
        await simulate(Address("http://x"), [], population(5, 1), 5, 1, is_right=is_right)
