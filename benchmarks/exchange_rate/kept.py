"""What was measured so far, a JSON line for each cell, so that a run that was cut short goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.exchange_rate.plan import Cell, Shift, Sizes

Scores = Mapping[Shift, float]


class Kept:
    """Cells of one part in one file. Its name changes with the sizes and with the code that decides a cell's scores."""

    def __init__(self, folder: Path, part: str, sizes: Sizes, code: tuple[str, ...]):
        source = b"".join((Path(__file__).parent / name).read_bytes() for name in code)
        named = hashlib.sha256(json.dumps(asdict(sizes)).encode() + source).hexdigest()[:12]
        self.path = folder / f"exchange_rate-{part}-{named}.jsonl"
        self.scores: dict[Cell, Scores] = {}
        if self.path.exists():
            self._read()

    def put(self, cell: Cell, scores: Scores) -> None:
        """On disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(cell), "scores": scores}) + "\n")
        self.scores[cell] = scores

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole, _, torn = text.rpartition("\n")
        if torn:  # a line that a kill cut short
            self.path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        for line in whole.splitlines():
            row = json.loads(line)
            scores = row.pop("scores")
            self.scores[Cell(**row)] = scores
