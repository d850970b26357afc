"""K attempts at each of many problems, in chunks that are committed whole and never made twice."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from loopwise.config import PracticeSettings
from loopwise.errors import SettingsError
from loopwise.practice.report import report
from loopwise.practice.rollout import rollout
from loopwise.practice.sources import PRACTICE, mixed
from loopwise.types import Engine, Judged, Problem, Progress, SamplingParams
from loopwise.verify.pool import VerifierPool

__all__ = ["Chunk", "Plan", "chunk_seed", "practise", "report"]

CHUNK_SIZE = 250  # problems


@dataclass(frozen=True)
class Plan:
    """What to practise. With the release's weights it decides every chunk."""

    specs: tuple[str, ...]
    n_problems: int  # over all sources
    k: int  # attempts at each problem
    seed: int
    held_out_keys: frozenset[str]  # the suites' problems, which must never come up
    temperature: float = 1.0
    max_tokens: int = 64
    chunk_size: int = CHUNK_SIZE

    @staticmethod
    def of(settings: PracticeSettings, seed: int, held_out_keys: frozenset[str]) -> Plan:
        """The plan that the settings ask for."""
        return Plan(
            specs=tuple(settings.sources),
            n_problems=settings.problems,
            k=settings.attempts,
            seed=seed,
            held_out_keys=held_out_keys,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
        )


@dataclass(frozen=True)
class Chunk:
    """One chunk of practice: a pure function of the plan, its index and the release's weights."""

    index: int
    seed: int  # of its sampling
    judged: tuple[Judged, ...]


def practise(
    engine: Engine,
    pool: VerifierPool,
    release: str,
    plan: Plan,
    skip: Collection[int] = (),
    progress: Progress | None = None,
) -> Iterator[Chunk]:
    """Yields the chunks whose index is not in ``skip``, in order.

    Problems are drawn from the split ``practice``, evenly from the sources, each once; sources that have fewer than
    ``n_problems`` between them give what they have, and no source gives no chunk. Raises SettingsError when a problem
    is held out or when the sources are empty, and what ``rollout`` raises.
    """
    stream = islice(mixed(plan.specs, plan.seed, PRACTICE), plan.n_problems)
    n_chunks = -(-plan.n_problems // plan.chunk_size) if plan.specs else 0
    for index in range(n_chunks):
        problems = list(islice(stream, plan.chunk_size))
        if not problems:
            if index == 0:
                raise SettingsError(f"The sources {', '.join(plan.specs)} have no problems to practise on; add some.")
            return
        _refuse_held_out(problems, plan.held_out_keys)
        if index not in skip:
            seed = chunk_seed(plan.seed, index)
            params = SamplingParams(plan.k, plan.temperature, max_tokens=plan.max_tokens, seed=seed)
            yield Chunk(index, seed, tuple(rollout(engine, pool, release, problems, params)))
        if progress is not None:
            progress("practise", index + 1, n_chunks)


def chunk_seed(seed: int, index: int) -> int:
    """The sampling seed of a chunk, in [0, 2^31)."""
    digest = hashlib.sha256(f"chunk\n{seed}\n{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _refuse_held_out(problems: Sequence[Problem], held_out_keys: frozenset[str]) -> None:
    for problem in problems:
        if problem.key in held_out_keys:
            raise SettingsError(
                f"The problem {problem.key} of the source {problem.source!r} is in a suite, too, and would be trained "
                "on; take it out of one of them."
            )
