"""What was measured so far, a JSON line for each cell, so that a run that was cut short goes on where it stopped."""

from __future__ import annotations

import ast
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
        decides = [json.dumps(asdict(sizes)), *(without_words(Path(__file__).parent / name) for name in code)]
        named = hashlib.sha256("\0".join(decides).encode()).hexdigest()[:12]
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


def without_words(path: Path) -> str:
    """A file's code without comments and docstrings: what is said about it does not change what it measures."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)
