"""All that was recorded becomes one dataset: the table of steps, and the order in which they run.

Curation is a pure function of the set of examples: it sorts them first, so the order in which they arrive does not
matter, and a turn that is resumed makes the dataset of the same name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from loopwise.curate.anchors import mix_anchors
from loopwise.curate.cap_person import cap_per_person
from loopwise.curate.cap_prompt import cap_per_prompt
from loopwise.curate.conflicts import settle_conflicts
from loopwise.curate.decontaminate import decontaminate
from loopwise.curate.duplicates import drop_duplicates
from loopwise.curate.ledger import Ledger, Step
from loopwise.curate.near_duplicates import drop_normalized_duplicates
from loopwise.curate.parquet import row_digest, write
from loopwise.curate.unusable import drop_unusable
from loopwise.types import Dataset, Example, JsonObject, Suite


@dataclass(frozen=True)
class CurateSettings:
    """At most so many answers per prompt and examples per person; ``anchor_share`` is of the final rows."""

    per_prompt: int = 2
    per_person: int = 200
    anchor_share: float = 0.1
    max_characters: int = 20_000


def steps(suites: Sequence[Suite], settings: CurateSettings) -> list[Step]:
    """What examples go through, in this order. Conflicts are settled while every person's voice is still there."""
    return [
        partial(drop_unusable, max_characters=settings.max_characters),
        decontaminate(suites),
        settle_conflicts,
        drop_duplicates,
        drop_normalized_duplicates,
        partial(cap_per_prompt, most=settings.per_prompt),
        partial(cap_per_person, most=settings.per_person),
    ]


def anchor_steps(suites: Sequence[Suite], settings: CurateSettings) -> list[Step]:
    """What anchors go through. People approved them, so no cap applies."""
    return [
        partial(drop_unusable, max_characters=settings.max_characters),
        decontaminate(suites),
        drop_duplicates,
    ]


def curate(
    examples: Iterable[Example],
    suites: Sequence[Suite],
    anchors: Sequence[Example],
    settings: CurateSettings,
    out: Path,
) -> Dataset:
    """The dataset of all ``examples`` of all turns up to the watermark, in the folder ``out``.

    The manifest counts what came in, what was kept and every drop with its reason; read = kept + dropped.
    """
    ledger, anchor_ledger = Ledger(), Ledger()
    found = sorted(examples, key=_age)
    kept = _through(found, steps(suites, settings), ledger)
    good = _through(sorted(anchors, key=_age), anchor_steps(suites, settings), anchor_ledger)
    rows = list(mix_anchors(kept, ledger, good, settings.anchor_share))
    used = len(rows) - len(kept)
    manifest: JsonObject = {
        "read": len(found),
        "kept": len(kept),
        "dropped": ledger.rows(),
        "anchors": {
            "available": len(anchors),
            "dropped": anchor_ledger.rows(),
            "used": used,
            "repeated": used > len(good),
            "share": used / len(rows) if rows else 0.0,
        },
        "kinds": dict(sorted(Counter(example.kind for example in rows).items())),
        "sources": dict(sorted(Counter(example.source for example in rows).items())),
        "segments": dict(sorted(Counter(example.segment for example in rows).items())),
        "settings": asdict(settings),
        "suites": {suite.name: suite.version for suite in suites},
    }
    return write(rows, manifest, out)


def _through(examples: Iterable[Example], table: Sequence[Step], ledger: Ledger) -> list[Example]:
    for step in table:
        examples = step(examples, ledger)
    return list(examples)


def _age(example: Example) -> tuple[int, tuple[str, ...], str]:
    return example.order, example.provenance, row_digest(example)
