"""What was measured so far, so that a run that was cut short goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import loopwise

Cell = dict[str, Any]  # one measurement: part, round, path, kind, connections, and what the load found


class Say(Protocol):
    """Tells how far things are; what is ``passing`` is replaced by the next line where the terminal can do that."""

    def __call__(self, line: str, passing: bool = False) -> None: ...


@dataclass(frozen=True)
class Sizes:
    """How much is measured. ``soak`` and ``small`` and ``large`` are exchanges; ``large`` are seeded."""

    rounds: int = 5
    seconds: float = 3.0  # of one measurement
    warm_s: float = 0.5
    soak: int = 200_000
    small: int = 10_000
    large: int = 1_000_000


class Kept:
    """Whole rounds in one file, which belongs to these sizes, this code and these peers; it goes when all is done."""

    def __init__(self, folder: Path, sizes: Sizes, peers: dict[str, str]):
        asked = json.dumps([asdict(sizes), peers, code_hash()], sort_keys=True)
        self.path = folder / f"gateway-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"
        self.rounds: dict[str, list[Cell]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def get(self, part: str, round_: int) -> list[Cell] | None:
        return self.rounds.get(f"{part} {round_}")

    def missing(self, part: str, rounds: int) -> list[int]:
        return [round_ for round_ in range(rounds) if self.get(part, round_) is None]

    def put(self, part: str, round_: int, cells: list[Cell]) -> None:
        self.rounds[f"{part} {round_}"] = [{"part": part, "round": round_, **cell} for cell in cells]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.rounds))
        partial.replace(self.path)

    def cells(self, parts: tuple[str, ...]) -> list[Cell]:
        return [cell for cells in self.rounds.values() for cell in cells if cell["part"] in parts]

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


def code_hash() -> str:
    """Of what is measured and what measures: figures of different code do not belong together."""
    ours = Path(loopwise.__file__).parent
    files = [*ours.rglob("*.py"), *Path(__file__).parent.glob("*.py")]
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]
