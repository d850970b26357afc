"""People ask a gateway over HTTP and tell it what they think of the answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loopwise.errors import EngineError, UsageError
from loopwise.people.population import Person, opinion
from loopwise.types import JsonObject, Problem, Progress

MODEL = "loopwise"
TEMPERATURE = 0.7
TIMEOUT_S = 60.0  # of one request
CONCURRENCY = 16  # people who ask at the same time


@dataclass(frozen=True)
class Address:
    """Where a gateway answers, and a key where it wants one."""

    url: str
    api_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


@dataclass(frozen=True)
class Counts:
    """What happened. ``false_thumbs`` and ``false_corrections`` are those that contradict the truth."""

    events: int
    by_kind: dict[str, int]  # events by kind of person
    right: int  # answers that were right in truth
    thumbs_up: int
    thumbs_down: int
    false_thumbs: int
    corrections: int
    false_corrections: int
    errors: int  # requests that the gateway failed to serve; their events went no further
    seconds: float

    def as_dict(self) -> JsonObject:
        """For ``--json``."""
        return {**self.__dict__, "by_kind": dict(self.by_kind)}


@dataclass
class _Run:
    """One simulation under way."""

    session: aiohttp.ClientSession
    base_url: str
    seed: int
    is_right: Callable[[Problem, str], bool]
    seen: Counter[str] = field(default_factory=Counter[str])


async def simulate(
    gateway: Address,
    problems: Sequence[Problem],
    people: Sequence[Person],
    events: int,
    seed: int,
    *,
    is_right: Callable[[Problem, str], bool],
    progress: Progress | None = None,
) -> Counts:
    """``events`` times, a person drawn by ``seed`` asks the next problem and gives feedback on the answer.

    The problems come in order, from the start again when they end. ``is_right`` knows the truth. A request that the
    gateway fails to serve (5xx, 429, a broken connection) is counted. Raises EngineError when the gateway cannot be
    reached, refuses a request (other 4xx) or serves none, and UsageError without problems or people.
    """
    if not problems or not people:
        raise UsageError("A simulation needs at least one problem and one person.")
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=gateway.headers) as session:
        run = _Run(session, gateway.url.rstrip("/"), seed, is_right)
        numbers = iter(range(events))

        async def keep_asking() -> None:
            for number in numbers:
                await _event(run, number, problems[number % len(problems)], people)
                run.seen["done"] += 1
                if progress is not None:
                    progress("simulate", run.seen["done"], events)

        await _all_or_first_error([keep_asking() for _ in range(CONCURRENCY)])
    if events and run.seen["errors"] >= events:
        raise EngineError(f"The gateway at {gateway.url} answered none of {events} questions; see its log.")
    return _counts(run.seen, events, {person.kind for person in people}, time.monotonic() - began)


async def _event(run: _Run, number: int, problem: Problem, people: Sequence[Person]) -> None:
    rng = random.Random(f"{run.seed} {number}")  # of its own, so that the order of answers changes nothing
    person = rng.choice(people)
    run.seen[person.kind] += 1
    question: JsonObject = {
        "model": MODEL,
        "messages": list(problem.messages),
        "temperature": TEMPERATURE,
        "user": person.id,
    }
    answer = await _post(run, "/v1/chat/completions", question)
    if answer is None:
        return
    text = answer["choices"][0]["message"]["content"] or ""
    right = run.is_right(problem, text)
    run.seen["right"] += right
    said = opinion(person, right, problem.reference, lambda other: run.is_right(problem, other), rng)
    about: JsonObject = {"exchange_id": answer["id"], "user": person.id}
    if said.thumb is not None and await _post(run, "/v1/feedback", {**about, "kind": "thumbs", "value": said.thumb}):
        run.seen["up" if said.thumb > 0 else "down"] += 1
        run.seen["false_thumbs"] += right != (said.thumb > 0)
    if said.correction is not None:
        correction: JsonObject = {**about, "kind": "correction", "value": said.correction}
        if await _post(run, "/v1/feedback", correction):
            run.seen["corrections"] += 1
            run.seen["false_corrections"] += said.correction != problem.reference


async def _post(run: _Run, path: str, body: JsonObject) -> JsonObject | None:
    """The gateway's answer, or None when it failed to serve the request, which is counted."""
    try:
        async with run.session.post(run.base_url + path, json=body) as response:
            if response.status >= 500 or response.status == 429:
                run.seen["errors"] += 1
                return None
            if response.status >= 400:
                raise _refused(run.base_url + path, response.status, await response.text())
            return await response.json()
    except aiohttp.ClientConnectorError as error:
        raise EngineError(
            f"No gateway answers at {run.base_url} ({error.strerror or error}); start one with 'loopwise up', or name "
            "another with --url."
        ) from error
    except (aiohttp.ClientError, TimeoutError, ValueError):
        run.seen["errors"] += 1
        return None


def _refused(url: str, status: int, text: str) -> EngineError:
    key = "name the variable that holds a valid API key with --api-key-env"
    way_out = key if status in (401, 403) else "check that this is the address of a Loopwise gateway"
    return EngineError(f"{url} refused a request with status {status} ({text[:200]}); {way_out}.", status)


async def _all_or_first_error(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _counts(seen: Counter[str], events: int, kinds: set[str], seconds: float) -> Counts:
    return Counts(
        events=events,
        by_kind={kind: seen[kind] for kind in sorted(kinds)},
        right=seen["right"],
        thumbs_up=seen["up"],
        thumbs_down=seen["down"],
        false_thumbs=seen["false_thumbs"],
        corrections=seen["corrections"],
        false_corrections=seen["false_corrections"],
        errors=seen["errors"],
        seconds=round(seconds, 3),
    )
