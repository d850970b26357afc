"""What the pool and its workers tell each other: messages, and a few bytes of memory that outlive a worker."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from loopwise.errors import LoopwiseError
from loopwise.types import Problem

IDLE = -1
STATE_BYTES = 16

_INDEX = struct.Struct("q")
_STARTED = struct.Struct("d")

Batch = list[tuple[Problem, str]]


@dataclass(frozen=True)
class Setup:
    """The first message to a worker: modules that register verifiers, and seconds for one attempt."""

    modules: Sequence[str]
    deadline_s: float


@dataclass(frozen=True)
class Ready:
    """The worker has imported what it needs."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot go on: a module or a verifier of this name does not exist."""

    error: LoopwiseError


@dataclass(frozen=True)
class Raised:
    """The verifier raised, or returned something that is no number."""

    reason: str


@dataclass(frozen=True)
class Outcomes:
    """What the next attempts of the batch came to, in order."""

    outcomes: list[float | Raised]


class SharedState:
    """Which attempt of its batch a worker is at, and since when."""

    def __init__(self, fd: int):
        self._memory = mmap.mmap(fd, STATE_BYTES)

    def start(self, index: int) -> None:
        """Notes that attempt ``index`` begins now. The time is written first: a new index never has an old time."""
        _STARTED.pack_into(self._memory, 8, time.monotonic())
        _INDEX.pack_into(self._memory, 0, index)

    def rest(self) -> None:
        """Notes that no attempt is being judged."""
        _INDEX.pack_into(self._memory, 0, IDLE)

    def read(self) -> tuple[int, float]:
        """The index (or IDLE), and its start in seconds of the monotonic clock."""
        return _INDEX.unpack_from(self._memory, 0)[0], _STARTED.unpack_from(self._memory, 8)[0]

    def close(self) -> None:
        """Releases the memory."""
        self._memory.close()
