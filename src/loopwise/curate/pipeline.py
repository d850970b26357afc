"""All that was recorded becomes one dataset: the table of steps, and the order in which they run.

The input is the whole history, of this turn and all before it: nothing that an earlier turn taught is lost, and what is
trained on is a replay of everything that still stands. Where it comes in the same order, the dataset has the same name,
so a turn that is resumed makes the dataset that it would have made. Examples are streamed: a step that must see all of
them before it can judge one keeps them on disk, and numbers of them in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from loopwise.config import CurateSettings
from loopwise.curate.anchors import mix_anchors
from loopwise.curate.balance import FEWEST, balance
from loopwise.curate.caps import cap_per_group, cap_per_person, cap_per_prompt, cap_per_window
from loopwise.curate.conflicts import settle_conflicts
from loopwise.curate.decontaminate import decontaminate
from loopwise.curate.duplicates import drop_duplicates
from loopwise.curate.guards import Guards
from loopwise.curate.held import GENERATED
from loopwise.curate.ledger import Ledger, Step
from loopwise.curate.near_duplicates import drop_near_duplicates
from loopwise.curate.parquet import sorted_rows, store
from loopwise.curate.quarantine import drop_quarantined
from loopwise.curate.redact import redact
from loopwise.curate.unusable import drop_unusable
from loopwise.types import Dataset, Example, JsonObject, Suite

Steps = dict[str, Step]  # by the name that the manifest and the ledger know it by, in the order in which they run


def steps(suites: Sequence[Suite], settings: CurateSettings, guards: Guards) -> Steps:
    """What examples go through. Conflicts are settled while every person's voice is still there."""
    apart = guards.quarantined
    model = Path(settings.names_model) if settings.names_model else None
    redacting = partial(redact_people, names=settings.names, names_model=model)
    return {
        **({"redact": redacting} if settings.redact else {}),
        "unusable": partial(drop_unusable, max_characters=settings.max_characters),
        "conflicts": partial(settle_conflicts, apart=apart),
        "duplicates": partial(drop_duplicates, apart=apart),
        "near duplicates": partial(drop_near_duplicates, threshold=settings.near_duplicate, apart=apart),
        "decontaminate": decontaminate(suites, settings.near_duplicate),
        "quarantine": partial(drop_quarantined, quarantined=guards.quarantined),
        "cap per prompt": partial(cap_per_prompt, most=settings.per_prompt),
        "cap per person": partial(cap_per_person, most=settings.per_person),
        "cap per group": partial(cap_per_group, most=settings.per_group, groups=guards.groups),
        "cap per window": partial(cap_per_window, most=settings.per_window, hours=settings.window_hours),
        "balance": partial(balance, share=settings.segment_share, fewest=FEWEST),
    }


def redact_people(
    examples: Iterable[Example], ledger: Ledger, names: bool, names_model: Path | None
) -> Iterator[Example]:
    """Redacts all but generated problems: these hold nobody's text, and the numbers in them are what is asked."""
    for generated, group in groupby(examples, key=lambda example: example.source.startswith(GENERATED)):
        if generated:
            yield from group
        else:
            yield from redact(group, ledger, names, names_model)


def anchor_steps(suites: Sequence[Suite], settings: CurateSettings) -> Steps:
    """What anchors go through. People approved them, so no cap applies."""
    wanted = ("redact", "unusable", "duplicates", "decontaminate")
    return {name: step for name, step in steps(suites, settings, Guards()).items() if name in wanted}


def curate(
    examples: Iterable[Example],
    suites: Sequence[Suite],
    anchors: Sequence[Example],
    settings: CurateSettings,
    guards: Guards,
    anchor_share: float,
    out: Path,
) -> Dataset:
    """The dataset of all ``examples`` of all turns up to the watermark, in the folder ``out``.

    ``examples`` come in an order that is a function of the store, the earlier first: of equals the first is kept, and
    caps keep the first. The manifest counts what each step read, kept and altered, and every drop with its reason; read
    = kept + dropped, of each step and of all.
    """
    flow, anchor_flow = _Flow(steps(suites, settings, guards)), _Flow(anchor_steps(suites, settings))
    good = list(anchor_flow.through(anchors))
    census = _Census()
    mixed = mix_anchors(flow.through(examples), flow.ledger, good, anchor_share)
    with sorted_rows(census.passing(mixed)) as rows:
        manifest: JsonObject = {
            **flow.report(),
            "anchors": {**anchor_flow.report(), **_used(census, len(good), anchor_share)},
            **census.report(),
            "settings": settings.model_dump(mode="json"),
            "signals": dict(guards.report),
            "guards": {"quarantined": len(guards.quarantined), "groups": len(set(guards.groups.values()))},
            "suites": {suite.name: suite.version for suite in suites},
        }
        return store(rows, manifest, out)


def _used(census: _Census, n_good: int, wanted: float) -> JsonObject:
    n, used = census.kinds.total(), census.kinds["anchor"]
    return {"used": used, "repeated": used > n_good, "wanted": wanted, "share": used / n if n else 0.0}


class _Flow:
    """Examples on their way through steps, counted before and after each."""

    def __init__(self, table: Steps) -> None:
        self.ledger = Ledger()
        self._table = table
        self._passed = [0] * (len(table) + 1)  # the gates before the first step, between steps, after the last

    def through(self, examples: Iterable[Example]) -> Iterator[Example]:
        stream = self._counted(examples, 0)
        for gate, step in enumerate(self._table.values(), start=1):
            stream = self._counted(step(stream, self.ledger), gate)
        return stream

    def _counted(self, examples: Iterable[Example], gate: int) -> Iterator[Example]:
        for example in examples:
            self._passed[gate] += 1
            yield example

    def report(self) -> JsonObject:
        changes: dict[str, JsonObject] = {}
        for row in self.ledger.changes():
            changes.setdefault(row["step"], {})[row["what"]] = row["count"]
        return {
            "read": self._passed[0],
            "kept": self._passed[-1],
            "steps": [
                {"step": name, "read": self._passed[i], "kept": self._passed[i + 1], "changed": changes.get(name, {})}
                for i, name in enumerate(self._table)
            ],
            "dropped": self.ledger.rows(),
        }


class _Census:
    """Counts what ends up in the dataset."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._segments: Counter[str] = Counter()

    def passing(self, examples: Iterable[Example]) -> Iterator[Example]:
        for example in examples:
            self.kinds[example.kind] += 1
            self._sources[example.source] += 1
            self._segments[example.segment] += 1
            yield example

    def report(self) -> JsonObject:
        counted = {"kinds": self.kinds, "sources": self._sources, "segments": self._segments}
        return {name: dict(sorted(counts.items())) for name, counts in counted.items()}
