"""One turn of the loop, from start to end. The file to read first.

    gather ─▶ practise ─▶ curate ─▶ train ─▶ gate ─▶ release

Every stage is a function of what was recorded before it, so the next call finishes a turn that was killed anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from loopwise import gate as referee, release as levers
from loopwise.config import CurateSettings, PracticeSettings, Settings, SignalSettings, TrainSettings
from loopwise.curate import pipeline
from loopwise.curate.examples import from_records
from loopwise.errors import TrainingError, TransitionError
from loopwise.practice import practise as practising
from loopwise.practice.scoring import scores_of
from loopwise.signals import about, weigh
from loopwise.store import Store, artifacts, attempts, exchanges, feedback, journal, leases, releases
from loopwise.types import Engine, Example, JsonObject, Marks, Progress, Suite
from loopwise.verify.pool import VerifierPool


@dataclass(frozen=True)
class Parts:
    """What a turn works with."""

    settings: Settings
    store: Store
    suites: Sequence[Suite]
    anchors: Sequence[Example]
    sampler: Engine  # drives practice, in process
    server: Engine  # what people are served by
    pool: VerifierPool
    progress: Progress


Records = dict[str, JsonObject]  # what the stages that are done have recorded, by stage


def turn(parts: Parts) -> tuple[int, Records]:
    """Begins a turn, or finishes the one that was cut short. Returns its number and its records."""
    with leases.held(parts.store, "turn", leases.this_process()) as lease:
        with parts.store.reading() as conn:
            number = journal.open_turn(conn, last_stage="release")
            done = journal.done(conn, number)
        for name in [name for name in STAGES if name not in done]:
            lease.check()
            with parts.store.writing() as conn:
                journal.write(conn, number, name, "started", {})
            began = time.monotonic()
            done[name] = {**STAGES[name](parts, number, done), "seconds": time.monotonic() - began}
            with parts.store.writing() as conn:
                journal.write(conn, number, name, "done", done[name])
    return number, done


def gather(parts: Parts, number: int, done: Records) -> JsonObject:
    """Fixes the input: who is champion, how far exchanges and feedback reach, and the settings."""
    with parts.store.reading() as conn:
        champion = releases.the_champion(conn)
        marks = {"exchanges": exchanges.watermark(conn), "feedback": feedback.watermark(conn)}
    used = parts.settings.model_dump(mode="json", include={"signals", "practice", "curate", "train", "anchors"})
    return {"champion": champion.name, "seed": parts.settings.loop.seed * 1_000 + number, "settings": used, **marks}


def practise(parts: Parts, number: int, done: Records) -> JsonObject:
    """The champion tries problems many ways; each chunk of attempts and verdicts is committed whole."""
    held_out = frozenset(problem.key for suite in parts.suites for problem in suite.problems)
    wanted = PracticeSettings(**done["gather"]["settings"]["practice"])
    plan = practising.Plan.of(wanted, done["gather"]["seed"], held_out)
    with parts.store.reading() as conn:
        skip = attempts.chunks_done(conn, number)
    for chunk in practising.practise(parts.sampler, parts.pool, done["gather"]["champion"], plan, skip, parts.progress):
        with parts.store.writing() as conn:
            attempts.add_chunk(conn, number, (chunk.index, chunk.seed), chunk.judged)
    with parts.store.reading() as conn:
        return practising.report(judged for _, judged in attempts.up_to(conn, number, first_turn=number))


def curate(parts: Parts, number: int, done: Records) -> JsonObject:
    """Everything recorded up to the watermark, in this turn and those before it, becomes one dataset."""
    used, marks = done["gather"]["settings"], Marks(done["gather"]["exchanges"], done["gather"]["feedback"])
    settings = CurateSettings(**used["curate"])
    with parts.store.reading() as conn:
        weighing = weigh(conn, marks, SignalSettings(**used["signals"]))
        guards = pipeline.Guards(weighing.quarantined, weighing.groups, weighing.report)
        found = from_records(attempts.up_to(conn, number), about(conn, marks, weighing), weighing.quarantined)
        mix = parts.suites, parts.anchors, settings, guards, used["anchors"]["share"]
        dataset = pipeline.curate(found, *mix, parts.store.root / "datasets")
    with parts.store.writing() as conn:
        artifacts.add_dataset(conn, dataset, number, parts.store.root)
    return {"dataset": dataset.name, "examples": dataset.n, "people": dataset.manifest["sources"].get("people", 0)}


def train(parts: Parts, number: int, done: Records) -> JsonObject:
    """The champion learns the dataset. A run that must not become a candidate is a result, with its reason."""
    from loopwise.train import RunSettings, train as trained  # imports torch: seconds that only this stage needs

    settings = RunSettings.of(TrainSettings(**done["gather"]["settings"]["train"]), seed=done["gather"]["seed"])
    with parts.store.reading() as conn:
        dataset = artifacts.dataset(conn, done["curate"]["dataset"], parts.store.root)
        parent = releases.located(conn, done["gather"]["champion"], parts.store.root)
    out = parts.settings.models / f"{parent.name.split('@')[0]}@{number}"
    try:
        made = trained(dataset, parent, out, settings, parts.progress)
    except TrainingError as error:
        return {"candidate": None, "reason": str(error)}
    with parts.store.writing() as conn:
        artifacts.add_candidate(conn, made, parts.store.root)
    levers.register_candidate(parts.store, made, who=f"turn {number}")
    return {"candidate": made.name, "fingerprint": made.fingerprint, "metrics": made.metrics}


def gate(parts: Parts, number: int, done: Records) -> JsonObject:
    """Champion and candidate answer the same held-out questions, over HTTP; the referee compares."""
    if done["train"]["candidate"] is None:
        return {"verdict": "not trained", "reason": done["train"]["reason"]}
    suites = [suite for suite in parts.suites if suite.role != "final"]
    with parts.store.reading() as conn:
        pair = [releases.by_name(conn, name) for name in (done["gather"]["champion"], done["train"]["candidate"])]
    ask = partial(scores_of, parts.store, parts.server, parts.pool, progress=parts.progress)
    champion, candidate = ({suite.name: ask(one, suite) for suite in suites} for one in pair)
    report = referee.judge(champion, candidate, suites, referee.GateSettings())
    with parts.store.writing() as conn:
        artifacts.add_report(conn, number, referee.to_json(report))
    return {"verdict": referee.verdict(report), "checks": {check.name: check.result for check in report.checks}}


def release(parts: Parts, number: int, done: Records) -> JsonObject:
    """Only what the gate has passed may serve; a person approves it, unless the settings say otherwise."""
    candidate, verdict, who, why = done["train"]["candidate"], done["gate"]["verdict"], f"turn {number}", ""
    try:
        if verdict == "passed" and parts.settings.release.approve == "auto":
            levers.promote(parts.store, candidate, who, "the gate passed it", instead_of=done["gather"]["champion"])
        elif verdict != "passed" and candidate is not None:
            levers.reject(parts.store, candidate, who, f"the gate's verdict: {verdict}")
    except TransitionError as error:  # somebody pulled a lever meanwhile, and their word stands
        why = str(error)
    with parts.store.reading() as conn:
        return {"verdict": verdict, "release": releases.the_champion(conn).name, "why": why}


_STAGES = (gather, practise, curate, train, gate, release)
STAGES: dict[str, Callable[[Parts, int, Records], JsonObject]] = {stage.__name__: stage for stage in _STAGES}
