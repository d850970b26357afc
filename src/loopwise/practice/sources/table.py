"""The visible table of sources, and how several are drawn from evenly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from loopwise.errors import SettingsError, UnknownNameError
from loopwise.practice.sources import jsonl, reasoning_gym
from loopwise.types import Problem

Source = Callable[[str, int, str], Iterator[Problem]]  # (spec, seed, split) -> distinct problems

SOURCES_BY_PREFIX: dict[str, Source] = {"reasoning-gym:": reasoning_gym.problems}
SOURCES_BY_SUFFIX: dict[str, Source] = {".jsonl": jsonl.problems}


def problems(spec: str, seed: int, split: str) -> Iterator[Problem]:
    """Distinct problems of ``split`` (a name in ``splits.SPLITS``) from the source named ``spec``.

    The same spec, seed and split give the same problems. The stream ends when the source has no more.
    Raises UnknownNameError and SettingsError.
    """
    for prefix, source in SOURCES_BY_PREFIX.items():
        if spec.startswith(prefix):
            return source(spec, seed, split)
    for suffix, source in SOURCES_BY_SUFFIX.items():
        if spec.endswith(suffix):
            return source(spec, seed, split)
    raise UnknownNameError(
        f"There is no source {spec!r}; a source is reasoning-gym:FAMILY, or the path of a file that ends in .jsonl."
    )


def mixed(specs: Sequence[str], seed: int, split: str) -> Iterator[Problem]:
    """Distinct problems from several sources in turn, one each; a source that ends leaves the others their turns."""
    streams = {i: problems(spec, seed, split) for i, spec in enumerate(specs)}
    seen: set[str] = set()
    while streams:
        for i, stream in list(streams.items()):
            for problem in stream:
                if problem.key not in seen:
                    seen.add(problem.key)
                    yield problem
                    break
            else:
                del streams[i]


def take(specs: Sequence[str], n: int, seed: int, split: str) -> list[Problem]:
    """Exactly ``n`` problems, as many (or one more) from each source. Raises SettingsError when one has fewer."""
    taken: list[Problem] = []
    for i, spec in enumerate(specs):
        share = n // len(specs) + (i < n % len(specs))
        keys = {problem.key for problem in taken}
        found = list(islice((p for p in problems(spec, seed, split) if p.key not in keys), share))
        if len(found) < share:
            raise SettingsError(
                f"The source {spec!r} has only {len(found)} distinct problems in the split {split!r}, "
                f"and {share} are needed; ask for fewer, or widen its options."
            )
        taken += found
    return taken
