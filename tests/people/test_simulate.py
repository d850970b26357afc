from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from loopwise.errors import EngineError
from loopwise.people import Address, Counts, Use, population, simulate
from loopwise.types import Problem

from .chance import within

PROBLEMS = [
    Problem(str(i), "test", ({"role": "user", "content": f"{i} + {i}?"},), str(2 * i), "exact") for i in range(5_000)
]


def judge(pairs: Sequence[tuple[Problem, str]]) -> list[bool]:
    return [text == problem.reference for problem, text in pairs]


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
        body = await request.json()
        rows = body if isinstance(body, list) else [body]
        self.said += rows
        return JSONResponse({"ids": [row["id"] for row in rows]})


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


async def used(url: str, events: int, seed: int = 1, n: int = 10, key: str | None = None) -> Counts:
    """What happens when the default people use the gateway at ``url``."""
    return await simulate(Address(url, key), Use(PROBLEMS, population(n, seed), events, seed), judge=judge)


async def test_what_arrives_is_what_is_counted_and_at_the_rates_of_each_group(gateway: Gateway):
    people = population(40, seed=3)
    counts = await used(gateway.url, 600, seed=3, n=40)
    group_of = {p.id: p.group for p in people}

    asked = [p.messages[0]["content"] for p in PROBLEMS[:600]]
    assert sorted(b["messages"][0]["content"] for b in gateway.asked) == sorted(asked)
    assert {(b["model"], b["temperature"]) for b in gateway.asked} == {("loopwise", 0.7)}
    assert {name: g.events for name, g in counts.by_group.items()} == Counter(
        group_of[b["user"]] for b in gateway.asked
    )
    assert {name: g.people for name, g in counts.by_group.items()} == Counter(group_of.values())
    assert counts.right == sum(gateway.truth.values())
    assert (counts.events, counts.errors) == (600, 0)

    number_of = {f"chatcmpl-{i}": int(b["messages"][0]["content"].split()[0]) for i, b in enumerate(gateway.asked, 1)}
    false: dict[tuple[str, str], list[bool]] = {}
    for row in gateway.said:
        right = gateway.truth[row["exchange_id"]]
        true = (
            (row["value"] > 0) == right
            if row["kind"] == "thumbs"
            else row["value"] == str(2 * number_of[row["exchange_id"]])
        )
        false.setdefault((group_of[row["user"]], row["kind"]), []).append(not true)
    assert {(name, k): (s.n, s.false) for name, g in counts.by_group.items() for k, s in g.said.items()} == {
        key: (len(found), sum(found)) for key, found in false.items()
    }
    assert sum(false["honest", "thumbs"]) + sum(false["honest", "correction"]) == 0
    error = sum(p.voice.error for p in people if p.group == "noisy") / 8  # type: ignore[attr-defined]
    assert within(sum(false["noisy", "thumbs"]), len(false["noisy", "thumbs"]), error)
    assert within(sum(false["careless", "thumbs"]), len(false["careless", "thumbs"]), 0.5)
    assert within(counts.by_kind["thumbs"].n, 600, 0.9)
    assert counts.as_dict()["by_kind"]["thumbs"]["n"] == counts.by_kind["thumbs"].n


async def test_feedback_names_the_exchange_and_the_person_who_asked(gateway: Gateway):
    await used(gateway.url, 200)
    asker = {f"chatcmpl-{i}": b["user"] for i, b in enumerate(gateway.asked, 1)}
    assert all(asker[s["exchange_id"]] == s["user"] for s in gateway.said)
    assert {frozenset(s) for s in gateway.said} == {frozenset({"id", "exchange_id", "user", "kind", "value"})}
    assert len({s["id"] for s in gateway.said}) == len(gateway.said)


async def test_the_seed_decides_who_asks_and_what_they_say_and_no_run_is_taken_for_another(gateway: Gateway):
    runs: list[Counter[tuple[str, str, str]]] = []
    ids: list[str] = []
    for seed in (1, 1, 2):
        gateway.said.clear()
        await simulate(Address(gateway.url), Use(PROBLEMS, population(10, 1), 80, seed), judge=judge)
        runs.append(Counter((s["user"], s["kind"], str(s["value"])) for s in gateway.said))
        ids += [s["id"] for s in gateway.said]
    assert runs[0] == runs[1] != runs[2]
    assert len(set(ids)) == len(ids)


async def test_problems_start_again_when_they_end_and_progress_is_told(gateway: Gateway):
    seen: list[tuple[str, int, int]] = []
    use = Use(PROBLEMS[:3], population(3, 1), 7, 1)
    await simulate(Address(gateway.url), use, judge=judge, progress=lambda *s: seen.append(s))
    assert Counter(b["messages"][0]["content"] for b in gateway.asked) == {"0 + 0?": 3, "1 + 1?": 2, "2 + 2?": 2}
    assert seen == [("simulate", i, 7) for i in range(1, 8)]


async def test_simulated_time_ends_now_and_feedback_is_spread_over_it(gateway: Gateway):
    began = time.time()
    await simulate(Address(gateway.url), Use(PROBLEMS, population(10, 1), 300, 1, days=5.0), judge=judge)
    at = [(row["at"] - began) / 86_400 for row in gateway.said]
    assert -5.0 <= min(at) < -4.9
    assert -0.1 < max(at) < 0.001
    by_day = Counter(int(each) for each in at)
    assert all(within(by_day[-day], len(at), 0.2) for day in range(5))


async def test_a_failing_gateway_is_counted_and_people_go_on(gateway: Gateway):
    gateway.failing_every = 4
    counts = await used(gateway.url, 100)
    assert (counts.errors, len(gateway.truth)) == (25, 75)


async def test_a_gateway_that_serves_nothing_is_an_error(gateway: Gateway):
    gateway.failing_every = 1
    with pytest.raises(EngineError, match="answered none of 5 questions"):
        await used(gateway.url, 5)


async def test_an_unreachable_gateway_is_a_sentence_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(EngineError, match=rf"No gateway answers at {url} .*; start one with 'loopwise up'"):
        await used(url, 50)


async def test_a_refusal_is_a_sentence_with_its_status(gateway: Gateway):
    gateway.key = "secret"
    with pytest.raises(EngineError, match=r"status 401 .*; name the variable .* --api-key-env") as caught:
        await used(gateway.url, 5)
    assert caught.value.status == 401
    counts = await used(gateway.url, 5, key="secret")
    assert (counts.events, counts.errors) == (5, 0)
