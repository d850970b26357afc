"""A task with known truth, people who ask from another distribution than the corpus, and what they say of answers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from benchmarks.exchange_rate.network import Floats, Ints, Lessons, Network, labels
from benchmarks.exchange_rate.plan import Kind, Shift

INPUTS = 16
CLASSES = 10
UNITS = 32  # of the truth
DISTANCE: dict[Shift, float] = {"none": 0.0, "some": 1.5, "strong": 3.0}  # standard deviations along one direction
ASKED = 60_000  # questions in a stream of users
SEEN = 0.3  # the share of answers on which an implicit event is seen
IMPLICIT_ERROR = 0.25  # how often an implicit event says the opposite of the truth, before noise


def generator(seed: int, *names: object) -> np.random.Generator:
    """Independent draws for each name, the same in every process."""
    return np.random.default_rng([seed, zlib.crc32(" ".join(map(str, names)).encode())])


@dataclass(frozen=True)
class World:
    """One seed's truth: which of 10 classes an input of 16 normal numbers belongs to, by a random network whose classes
    are about equally frequent in the corpus. Users' inputs lie ``DISTANCE`` away from the corpus's mean."""

    seed: int

    @cached_property
    def _truth(self) -> tuple[Floats, Floats, Floats, Floats]:
        rng = generator(self.seed, "truth")
        into = rng.normal(size=(INPUTS, UNITS)) / np.sqrt(INPUTS)
        bias = rng.normal(size=UNITS) / 2
        out = rng.normal(size=(UNITS, CLASSES))
        logits_NK = np.tanh(rng.normal(size=(20_000, INPUTS)) @ into + bias) @ out
        spread_K = logits_NK.std(0)
        return into, bias, out / spread_K, logits_NK.mean(0) / spread_K

    @cached_property
    def _direction(self) -> Floats:
        drawn_D = generator(self.seed, "direction").normal(size=INPUTS)
        return drawn_D / np.linalg.norm(drawn_D)

    def inputs(self, n: int, shift: Shift, name: str) -> Floats:
        """``n`` questions; a stream has a name, and its first questions do not depend on ``n``."""
        drawn_ND = generator(self.seed, name, shift).normal(size=(n, INPUTS))
        return (drawn_ND + DISTANCE[shift] * self._direction).astype(np.float32)

    def classes(self, inputs_ND: Floats) -> Ints:
        """The right answers."""
        into, bias, out, mean_K = self._truth
        return (np.tanh(inputs_ND @ into + bias) @ out - mean_K).argmax(1)

    def labelled(self, n: int, shift: Shift, name: str) -> Lessons:
        inputs_ND = self.inputs(n, shift, name)
        return labels(inputs_ND, self.classes(inputs_ND))


@dataclass(frozen=True)
class People:
    """Users of one shift, who ask ``served`` and say what they think of its most likely answer.

    ``right/wrong`` comes on any answer, ``correction`` on wrong ones alone, ``implicit`` on a share ``SEEN`` of all.
    Noise is the chance that a mark is flipped or that a correction names a wrong class. Levels of noise share their
    draws, and fewer events are the first of more, so that cells differ by their factor alone.
    """

    world: World
    served: Network
    shift: Shift

    @cached_property
    def _inputs(self) -> Floats:
        return self.world.inputs(ASKED, self.shift, "people")

    @cached_property
    def _answers(self) -> Ints:
        return self.served.answers(self._inputs)

    @cached_property
    def _right(self) -> Ints:
        return self.world.classes(self._inputs)

    def labelled(self, n: int) -> Lessons:
        """Right answers to the first ``n`` questions."""
        return labels(self._inputs[:n], self._right[:n])

    def events(self, kind: Kind, n: int, noise: float, weighed: bool = False) -> Lessons:
        """``n`` events; ``weighed`` tells the learner the noise."""
        if kind == "correction":
            return self._corrections(n, noise)
        where_N = self._noticed(n) if kind == "implicit" else np.arange(n)
        rng = generator(self.world.seed, "marks", self.shift, kind)
        flips_N, errors_N = rng.random(ASKED)[:n] < noise, rng.random(ASKED)[:n] < IMPLICIT_ERROR
        good_N = (self._answers[where_N] == self._right[where_N]) ^ flips_N
        believed = noise if weighed else 0.0
        if kind == "implicit":
            good_N, believed = good_N ^ errors_N, IMPLICIT_ERROR
        return self._marks(where_N, good_N, believed)

    def random(self, kind: Kind, n: int) -> Lessons:
        """Events of the same form on the same answers that know nothing of the truth."""
        rng = generator(self.world.seed, "random", self.shift, kind)
        if kind == "correction":
            where_N = self._wrong(n)
            return labels(self._inputs[where_N], rng.integers(CLASSES, size=ASKED)[:n])
        where_N = self._noticed(n) if kind == "implicit" else np.arange(n)
        return self._marks(where_N, rng.random(ASKED)[:n] < 0.5, IMPLICIT_ERROR if kind == "implicit" else 0.0)

    def _marks(self, where_N: Ints, good_N: np.ndarray, believed_error: float) -> Lessons:
        signs_N = np.where(good_N, 1, -1).astype(np.float32)
        errors_N = np.full(len(where_N), believed_error, np.float32)
        return Lessons(self._inputs[where_N], self._answers[where_N], signs_N, errors_N)

    def _corrections(self, n: int, noise: float) -> Lessons:
        where_N = self._wrong(n)
        rng = generator(self.world.seed, "corrections", self.shift)
        flips_N, other_N = rng.random(ASKED)[:n] < noise, rng.integers(1, CLASSES, size=ASKED)[:n]
        right_N = self._right[where_N]
        return labels(self._inputs[where_N], np.where(flips_N, (right_N + other_N) % CLASSES, right_N))

    def _wrong(self, n: int) -> Ints:
        return _first(np.flatnonzero(self._answers != self._right), n, "wrong answers")

    def _noticed(self, n: int) -> Ints:
        seen_N = generator(self.world.seed, "seen", self.shift).random(ASKED) < SEEN
        return _first(np.flatnonzero(seen_N), n, "answers with an implicit event")


def _first(found_N: Ints, n: int, what: str) -> Ints:
    if len(found_N) < n:
        raise ValueError(f"Of {ASKED} questions only {len(found_N)} gave {what}, and {n} are needed; raise ASKED.")
    return found_N[:n]
