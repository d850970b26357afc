"""What was measured so far, so that a run that was cut short goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.exchange_rate.kept import without_words
from benchmarks.rounds.plan import Cell, Sizes


class Kept:
    """Cells that are done, a JSON line each, in a file named by the sizes and by the code that decides them."""

    def __init__(self, folder: Path, sizes: Sizes):
        decides = without_words(Path(__file__).parent / "measure.py")
        named = sha256(f"{asdict(sizes)} {decides}".encode()).hexdigest()[:12]
        self.path = folder / f"rounds-{named}.jsonl"
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]  # a line that a kill cut short is not one
        if len(rows) < len(lines):
            self.path.write_text("".join(lines[: len(rows)]))
        self.done: dict[Cell, dict[str, Any]] = {Cell(**row["cell"]): row["found"] for row in rows}

    def put(self, cell: Cell, found: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"cell": asdict(cell), "found": found}) + "\n")
        self.done[cell] = found
