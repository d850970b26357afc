"""People ask a gateway over HTTP and tell it what they think of the answers."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from loopwise.errors import EngineError
from loopwise.people.asking import Address, Answered, FailedError, Product, product
from loopwise.people.behaviors.implicit import deeds
from loopwise.people.plan import Use, Visit, total, visits
from loopwise.people.tally import Counts, Tally, Told
from loopwise.people.together import Together
from loopwise.people.words import TEXTS, Answer, Opinion, Said
from loopwise.types import FeedbackKind, JsonObject, Message, Problem, Progress

CONCURRENCY = 32  # people who ask at the same time
VERIFIER = "verifier"  # whose feedback a checker's is, in the counts
_SEEN = ("regenerate", "follow_up")  # done, not told: the gateway sees it
_THANKS, _DOUBT = "Thank you.", "That is not right. Please try again."
_DAY_S = 86_400.0


Judge = Callable[[Sequence[tuple[Problem, str]]], Sequence[bool]]


@dataclass(frozen=True)
class _Run:
    """One simulation under way. ``name`` begins every feedback's id, ``until_s`` is when the simulated time ends.
    ``asked`` is the latest answer to each person's each question, and whether it was right."""

    use: Use
    product: Product
    judge: Judge
    is_right: Together[tuple[Problem, str], bool]
    say: Together[Sequence[JsonObject], None]
    tally: Tally
    name: str
    until_s: float
    asked: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict[tuple[str, str], tuple[str, bool]])


async def simulate(
    gateway: Address,
    use: Use,
    *,
    judge: Judge,
    truth: TextIO | None = None,
    progress: Progress | None = None,
) -> Counts:
    """What ``use`` says happens at ``gateway``, ``CONCURRENCY`` people at a time.

    Who asks what and what they say of an answer follows from the seed, whatever the order of the answers. ``judge``
    knows the truth: whether each text solves its problem. ``truth`` gets a line of JSON for each feedback. A request
    that the gateway fails to serve (5xx, 429, a broken connection) is counted. Raises EngineError when the gateway
    cannot be reached, refuses a request (other 4xx) or serves none, and UsageError where somebody has nothing to ask.
    """
    began, planned = time.monotonic(), total(use)
    plan = visits(use)
    tally = Tally(Counter(person.group for person in use.people), truth)
    async with product(gateway) as opened:

        async def judged(pairs: Sequence[tuple[Problem, str]]) -> Sequence[bool]:
            return judge(pairs)

        name = f"sim_{uuid.uuid4().hex[:12]}"
        run = _Run(use, opened, judge, Together(judged), Together(opened.say), tally, name, time.time())

        async def keep_asking() -> None:
            for visit in plan:
                await _visit(run, visit)
                tally.seen["done"] += 1
                if progress is not None:
                    progress("simulate", tally.seen["done"], planned)

        await _all_or_first_error([keep_asking() for _ in range(CONCURRENCY)])
    if planned and not tally.seen["answered"]:
        raise EngineError(f"The gateway at {gateway.url} answered none of {planned} questions; see its log.")
    return tally.counts(time.monotonic() - began)


async def _visit(run: _Run, visit: Visit) -> None:
    """One question with all that follows from its answer."""
    person = visit.person
    run.tally.seen["events"] += 1
    run.tally.events[person.group] += 1
    try:
        answered, right = await _ask(run, visit)
        run.tally.seen["answered"] += 1
        run.tally.seen["right"] += right
        opinion = person.voice(_answer(run, visit, answered, right), visit.rng)
        done = {said.kind: said for said in deeds(person.settings.implicit, opinion, visit.rng)}
        told = [said for kind, said in done.items() if kind not in _SEEN]
        await _say(run, visit, answered, right, [*opinion.said, *told])
        await _verify(run, visit, answered, right)
        # in this order, because the gateway takes what follows for a word about the latest answer
        if "follow_up" in done:
            await _follow_up(run, visit, answered, right, opinion)
        if "regenerate" in done:
            await _ask(run, visit)
            run.tally.seen["again"] += 1
    except FailedError:
        run.tally.seen["errors"] += 1


async def _ask(run: _Run, visit: Visit) -> tuple[Answered, bool]:
    """The answer, and whether it is right. Who asks what they asked before says something about the earlier answer, on
    purpose or not: the gateway keeps it under an id that follows from the later one's."""
    person, problem = visit.person, visit.problem
    answered = await run.product.ask(problem.messages, person.id)
    right = await run.is_right((problem, answered.text))
    before = run.asked.get((person.id, problem.key))
    run.asked[person.id, problem.key] = answered.id, right
    if before is not None:
        _seen(run, visit, "regenerate", before, answered)
    return answered, right


async def _follow_up(run: _Run, visit: Visit, answered: Answered, right: bool, opinion: Opinion) -> None:
    """The conversation goes on."""
    messages: list[Message] = [
        *visit.problem.messages,
        {"role": "assistant", "content": answered.text},
        {"role": "user", "content": _THANKS if opinion.taken_for_right else _DOUBT},
    ]
    later = await run.product.ask(messages, visit.person.id)
    run.tally.seen["again"] += 1
    _seen(run, visit, "follow_up", (answered.id, right), later)


def _seen(run: _Run, visit: Visit, kind: FeedbackKind, about: tuple[str, bool], later: Answered) -> None:
    """What the gateway made of a later question, which speaks against the earlier answer."""
    exchange, right = about
    person = visit.person
    told = Told(f"seen_{kind}_{later.id}", exchange, person.id, person.group, kind, right, says_true=not right)
    run.tally.write([told])
    run.tally.count([told])


def _answer(run: _Run, visit: Visit, answered: Answered, right: bool) -> Answer:
    problem = visit.problem
    return Answer(
        answered.text, right, problem.reference, lambda other: run.judge([(problem, other)])[0], attack=visit.attack
    )


async def _say(run: _Run, visit: Visit, answered: Answered, right: bool, said: Sequence[Said]) -> None:
    """All that follows from one answer, in one request."""
    rows: list[JsonObject] = []
    told: list[Told] = []
    for place, each in enumerate(said):
        user = each.user or visit.person.id
        row: JsonObject = {
            "id": f"{run.name}_{visit.name.replace(' ', '-')}_{place}",
            "exchange_id": answered.id,
            "kind": each.kind,
            "value": each.value,
            "user": user,
            **each.fields,
            **_at(run, visit),
        }
        rows.append({name: value for name, value in row.items() if value is not None})
        true = await _true(run, visit.problem, each.value) if each.kind in TEXTS else each.good == right
        told.append(
            Told(row["id"], answered.id, user, visit.person.group, each.kind, right, true, poisoned=visit.attack)
        )
    await _send(run, rows, told)


async def _true(run: _Run, problem: Problem, text: str) -> bool:
    """Whether what somebody wrote is right; what the problem says itself needs no judge."""
    return text == problem.reference or await run.is_right((problem, text))


async def _verify(run: _Run, visit: Visit, answered: Answered, right: bool) -> None:
    """What a team's checker says of a share of the answers: the truth."""
    if not run.use.verified or random.Random(f"verified {visit.name}").random() >= run.use.verified:
        return
    id = f"{run.name}_{visit.name.replace(' ', '-')}_v"
    row: JsonObject = {"id": id, "exchange_id": answered.id, "kind": "thumbs", "value": 1 if right else -1}
    told = Told(id, answered.id, None, VERIFIER, "thumbs", right, says_true=True)
    await _send(run, [{**row, "source": "verifier", **_at(run, visit)}], [told])


async def _send(run: _Run, rows: Sequence[JsonObject], told: Sequence[Told]) -> None:
    if rows:
        run.tally.write(told)
        await run.say(rows)
        run.tally.count(told)


def _at(run: _Run, visit: Visit) -> JsonObject:
    """When it is said, if the simulated time is not this one: it ends when the run begins."""
    days = run.use.days
    return {"at": run.until_s - _DAY_S * days * (1.0 - visit.place)} if days else {}


async def _all_or_first_error(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
