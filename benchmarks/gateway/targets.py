"""The figures that the gateway is held to, each from what one run measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.gateway.kept import Cell, Sizes

Figure = Callable[[Cell], float]


@dataclass(frozen=True)
class Target:
    """``values`` has one figure a round; none where a peer was left out. Without a ``limit`` it only informs."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list[float])
    bound: Literal["at least", "at most", ""] = ""
    limit: float | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        if self.median is None or self.limit is None:
            return None
        return self.median >= self.limit if self.bound == "at least" else self.median <= self.limit


class Found:
    """Looks figures up round by round."""

    def __init__(self, cells: Sequence[Cell]):
        self.by_key: dict[tuple[Any, ...], dict[int, Cell]] = {}
        for cell in cells:
            key = (cell["part"], cell["path"], cell["kind"], cell.get("connections"))
            self.by_key.setdefault(key, {})[cell["round"]] = cell

    def rounds(self, *key: Any) -> dict[int, Cell]:
        """The measurements of (part, path, kind, connections), by round."""
        return self.by_key.get(key, {})

    def paired(self, key: Sequence[Any], others: Sequence[Sequence[Any]], combine: Callable[..., float]) -> list[float]:
        """``combine`` of the cells of one round, for each round that has all of them."""
        groups = [self.rounds(*key), *(self.rounds(*other) for other in others)]
        shared = sorted(set.intersection(*(set(group) for group in groups)))
        return [combine(*(group[round_] for group in groups)) for round_ in shared]


def per_s(cell: Cell) -> float:
    return cell["per_s"] * cell.get("rows", 1)


def per_cpu_s(cell: Cell) -> float:
    """Answers for each second of processor time that the server's processes used: what one core gives."""
    return cell["counted"] * cell.get("rows", 1) / cell["server_cpu_s"] if cell["server_cpu_s"] else float("nan")


def ratio(figure: Figure) -> Callable[[Cell, Cell], float]:
    return lambda ours, theirs: figure(ours) / figure(theirs)


def targets(cells: Sequence[Cell], sizes: Sizes) -> list[Target]:
    found = Found(cells)
    return [*throughput(found), *latency(found), *feedback(found), *soak(found), *growth(found, sizes), recorded(cells)]


def throughput(found: Found) -> list[Target]:
    made: list[Target] = []
    for kind, what in (("whole", "whole answers"), ("stream", "streams")):
        ours, bare, lite = (("serve", path, kind, 16) for path in ("loopwise", "bare", "litellm"))
        core, wall = ratio(per_cpu_s), ratio(per_s)
        made += [
            Target(f"{what} per core, to LiteLLM, 16", "x", found.paired(ours, [lite], core), "at least", 15.0),
            Target(f"{what} per core, to bare proxy, 16", "x", found.paired(ours, [bare], core), "at least", 0.5),
            Target(f"{what} per second, to bare proxy, 16", "x", found.paired(ours, [bare], wall), "at least", 0.5),
            Target(f"{what} per second, to LiteLLM, 16", "x", found.paired(ours, [lite], wall)),
        ]
    return made


def latency(found: Found) -> list[Target]:
    """Added to what the same request takes directly."""
    made: list[Target] = []
    for kind, timing, what in (
        ("whole", "whole_ms", "latency, whole answers"),
        ("paced", "first_ms", "time to first token"),
        ("paced", "chunk_ms", "time per chunk"),
    ):
        ours, bare, direct = (("serve", path, kind, 1) for path in ("loopwise", "bare", "direct"))

        def added(cell: Cell, plain: Cell, timing: str = timing) -> float:
            return cell[timing]["median"] - plain[timing]["median"]

        def to_bare(cell: Cell, bare_: Cell, plain: Cell, added: Callable[..., float] = added) -> float:
            return added(cell, plain) / added(bare_, plain)

        made += [
            Target(f"added {what}, 1", "ms", found.paired(ours, [direct], added), "at most", 4.0),
            Target(f"added {what}, to bare proxy's, 1", "x", found.paired(ours, [bare, direct], to_bare), "at most", 2),
        ]
    return made


def feedback(found: Found) -> list[Target]:
    ours, bare = (("feedback", path, "feedback", 32) for path in ("loopwise", "bare"))
    lists, bare_lists = (("feedback", path, "feedback-list", 32) for path in ("loopwise", "bare"))
    wall = ratio(per_s)
    return [
        Target("feedback per second, to bare server, 32", "x", found.paired(ours, [bare], wall), "at least", 0.6),
        Target("feedback in lists of 100, to singly, 32", "x", found.paired(lists, [ours], wall), "at least", 8.0),
        Target("feedback in lists, to bare server singly, 32", "x", found.paired(lists, [bare], wall)),
        Target("feedback in lists, to bare server in lists, 32", "x", found.paired(lists, [bare_lists], wall)),
    ]


def soak(found: Found) -> list[Target]:
    key = ("soak", "loopwise", "mixed", 16)
    grown = found.paired(key, [], lambda cell: 100 * (cell["last_bytes"] / cell["settled_bytes"] - 1))
    most = found.paired(key, [], lambda cell: 100 * (cell["most_bytes"] / cell["settled_bytes"] - 1))
    return [
        Target("memory grown after the first tenth of the soak", "%", grown, "at most", 5.0),
        Target("memory grown at most in between", "%", most),
    ]


def growth(found: Found, sizes: Sizes) -> list[Target]:
    large, small = f"loopwise at {sizes.large:,}", f"loopwise at {sizes.small:,}"
    slower = ratio(lambda cell: cell["whole_ms"]["median"])
    at_one = found.paired(("grow", large, "whole", 1), [("grow", small, "whole", 1)], slower)
    at_16 = found.paired(("grow", large, "whole", 16), [("grow", small, "whole", 16)], ratio(per_s))
    seeded = found.rounds("seed", "seeder", "seed", None)
    minutes = [10_000_000 / cell["per_s"] / 60 for cell in seeded.values()]
    return [
        Target(f"latency at {sizes.large:,} stored, to {sizes.small:,}, 1", "x", at_one, "at most", 1.2),
        Target(f"throughput at {sizes.large:,} stored, to {sizes.small:,}, 16", "x", at_16),
        Target("ten million exchanges seeded, at the rate measured", "min", minutes, "at most", 10.0),
    ]


def recorded(cells: Sequence[Cell]) -> Target:
    """The gateway's own rows: what was acknowledged and is not in the store, or is there twice."""
    counts = [cell for cell in cells if cell["kind"] == "recorded" and cell["path"] == "loopwise"]
    astray = [float(abs(cell["acknowledged"] - cell["recorded"])) for cell in counts]
    return Target("acknowledged rows that are missing or twofold", "rows", astray, "at most", 0.0)
