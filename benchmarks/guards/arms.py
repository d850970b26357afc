"""The arms: which guards stand between what people said and what is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.guards.world import TARGET_ANSWER, Conditions, World

from loopwise.cli.progress import silent
from loopwise.config import CurateSettings, SignalSettings
from loopwise.curate import pipeline
from loopwise.curate.anchors import load as load_anchors, mix_anchors
from loopwise.curate.examples import from_people
from loopwise.curate.guards import Guards
from loopwise.curate.ledger import Ledger
from loopwise.curate.parquet import write
from loopwise.errors import TrainingError
from loopwise.signals import Weighing, about, weigh
from loopwise.store import Store, exchanges, feedback
from loopwise.tiny import ANCHORS, MODEL
from loopwise.train import RunSettings, train
from loopwise.types import Example, Marks, Release

GUARDS = ("reliability", "quarantine and caps", "duplicates", "anchors", "calibration")
ARMS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    **{guard: frozenset({guard}) for guard in GUARDS},
    "all": frozenset(GUARDS),
}
# What stands in every arm: these steps keep a dataset valid, whoever spoke.
ALWAYS = ("unusable", "conflicts", "decontaminate")
STEPS = {
    "quarantine and caps": ("quarantine", "cap per prompt", "cap per person", "cap per group", "cap per window"),
    "duplicates": ("duplicates", "near duplicates"),
}
ANCHOR_SHARE = 0.1
IMITATED = ("approved", "demonstration")


@dataclass(frozen=True)
class Dose:
    """How much is trained: examples seen, repeats included."""

    examples: int


def measure(world: World, conditions: Conditions, arms: Iterable[str], dose: Dose) -> Iterable[tuple[str, dict]]:
    """(arm, figures) for one world under one set of conditions: what the data became, and what the model learned."""
    with TemporaryDirectory(prefix="loopwise-guards-") as folder:
        store = Store("sqlite:///loopwise.db", Path(folder), create=True)
        world.fill(store, conditions)
        with store.reading() as conn:
            marks = Marks(exchanges.watermark(conn), feedback.watermark(conn))
            weighing = weigh(conn, marks, SignalSettings())
        for arm in arms:
            rows = curated(store, marks, weighing, ARMS[arm])
            figures = {
                **quality(world, rows),
                **trained(world, rows, dose, Path(folder) / f"{arm.replace(' ', '-')}@1"),
            }
            yield arm, figures
        store.close()


def curated(store: Store, marks: Marks, found: Weighing, guards: frozenset[str]) -> list[Example]:
    """What the arm trains on, by the real pass over the store and the real steps, those of other guards left out."""
    weighing, ledger = _guarded(found, guards), Ledger()
    wanted = {*ALWAYS, *(step for guard in guards for step in STEPS.get(guard, ()))}
    steps = pipeline.steps([], CurateSettings(), Guards(weighing.quarantined, weighing.groups))
    with store.reading() as conn:
        stream: Iterable[Example] = from_people(about(conn, marks, weighing), weighing.quarantined)
        for name, step in steps.items():
            if name in wanted:
                stream = step(stream, ledger)
        anchors = load_anchors(ANCHORS) if "anchors" in guards else []
        return list(mix_anchors(stream, ledger, anchors, ANCHOR_SHARE))


def quality(world: World, rows: Sequence[Example]) -> dict[str, float]:
    """Of what people made the model imitate: rows, the share of their weight that is right, rows of the attack."""
    people = [row for row in rows if row.kind in IMITATED]
    right = [world.is_right(world.by_question[str(row.messages[-1]["content"])], row.completion) for row in people]
    weights = np.array([row.weight for row in people])
    poisoned = sum(
        not good and row.completion.strip() == TARGET_ANSWER for row, good in zip(people, right, strict=True)
    )
    share = float((weights * np.array(right)).sum() / weights.sum()) if weights.sum() else float("nan")
    return {"rows": len(people), "right": share, "poisoned": poisoned}


def trained(world: World, rows: Sequence[Example], dose: Dose, out: Path) -> dict[str, float]:
    """Scores after training the shipped model on the rows; its own where there is nothing to learn."""
    shipped = Release("shipped", "champion", None, None, world.fingerprint, str(MODEL), 0.0)
    settings = RunSettings(method="sft", examples=dose.examples, threads=1, seed=world.seed)
    try:
        made = train(write(rows, {}, out.parent), shipped, out, settings, silent)
    except TrainingError:
        return dict(world.base)
    return world.scores(Path(made.path))


def _guarded(weighing: Weighing, guards: frozenset[str]) -> Weighing:
    """The weighing with what other guards found set back to what is presumed of anybody."""
    if "reliability" not in guards:
        weighing = replace(weighing, standing_R=np.ones_like(weighing.standing_R))
    if "quarantine and caps" not in guards:
        weighing = replace(weighing, quarantined={}, groups={})
    if "calibration" not in guards:
        scales = weighing.scales
        alike = {
            "mean_P": np.full_like(scales.mean_P, scales.mean),
            "spread_P": np.full_like(scales.spread_P, scales.spread),
        }
        plain = replace(scales, **alike, neutral=0.5)
        kinds = {name: replace(kind, weight=1.0) for name, kind in weighing.kinds.items()}
        weighing = replace(weighing, scales=plain, kinds=kinds)
    return weighing
