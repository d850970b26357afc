"""What is measured: the cells of both parts, each one training (or none) and its scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

Part = Literal["classifier", "model"]
Shift = Literal["none", "some", "strong"]
Kind = Literal["right/wrong", "correction", "implicit"]
Arm = Literal["served", "corpus", "labels", "feedback", "weighed", "marks", "random", "retrieval"]

SHIFTS: tuple[Shift, ...] = ("none", "some", "strong")
KINDS: tuple[Kind, ...] = ("right/wrong", "correction", "implicit")
NOISES = (0.0, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Cell:
    """One arm at one size. ``n`` counts what it gets beyond the seed corpus: corpus examples, labels or events.

    - served: the model that users talk to, before anything is learned from them.
    - corpus: more examples like the seed corpus; with n = 0 the extra compute alone. ``shift`` is "none".
    - labels: right answers to ``n`` questions drawn evenly from what users ask.
    - feedback: ``n`` events at face value. weighed: the learner knows the noise. marks: the language model is pushed
      away from wrong answers, besides imitating right ones. random: events that know nothing.
    - retrieval: nothing is trained; the corrections nearest to a question are used when it is answered.
    """

    part: Part
    seed: int
    arm: Arm
    n: int
    shift: Shift = "none"
    kind: Kind | None = None
    noise: float = 0.0
    shown: int = 0  # corrections in a prompt (retrieval on the language model)

    @property
    def group(self) -> tuple[object, ...]:
        """Everything but the seed: cells of one group are repetitions of each other."""
        return (self.part, self.arm, self.shift, self.kind, self.noise, self.shown, self.n)


@dataclass(frozen=True)
class Sizes:
    """How much is measured. ``steps`` of the optimizer are the same in every arm; ``held_out`` counts questions."""

    corpus: tuple[int, ...]
    events: tuple[int, ...]
    steps: int
    held_out: int
    seed_corpus: int


CLASSIFIER = Sizes(
    corpus=(0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000),
    events=(125, 250, 500, 1_000, 2_000, 4_000, 8_000),
    steps=2_000,
    held_out=10_000,
    seed_corpus=1_000,
)
MODEL = Sizes(corpus=(0, 500, 2_000, 4_000), events=(1_000,), steps=150, held_out=1_000, seed_corpus=780)
CLASSIFIER_SHORT = Sizes(corpus=(0, 500, 4_000), events=(1_000,), steps=200, held_out=1_000, seed_corpus=300)
MODEL_SHORT = Sizes(corpus=(0, 200), events=(50,), steps=6, held_out=40, seed_corpus=100)


def classifier_cells(seed: int, sizes: Sizes) -> Iterator[Cell]:
    """The full grid: shift x kind x noise x size, and the arms it is compared with."""
    yield Cell("classifier", seed, "served", 0)
    yield from (Cell("classifier", seed, "corpus", n) for n in sizes.corpus)
    for shift, n in product(SHIFTS, sizes.events):
        yield Cell("classifier", seed, "labels", n, shift)
        for kind in KINDS:
            yield from (Cell("classifier", seed, "feedback", n, shift, kind, noise) for noise in NOISES)
            yield Cell("classifier", seed, "random", n, shift, kind)
        yield from (Cell("classifier", seed, "weighed", n, shift, "right/wrong", noise) for noise in NOISES[1:])
        yield from (Cell("classifier", seed, "retrieval", n, shift, "correction", noise) for noise in NOISES)


def model_cells(seed: int, sizes: Sizes) -> Iterator[Cell]:
    """One factor at a time around honest events at some shift. Labels at no shift are corpus, and left out."""
    (n,) = sizes.events
    yield Cell("model", seed, "served", 0)
    yield from (Cell("model", seed, "corpus", more) for more in sizes.corpus)
    yield from (Cell("model", seed, "labels", n, shift) for shift in SHIFTS[1:])
    for kind in KINDS[:2]:
        yield from (Cell("model", seed, "feedback", n, shift, kind) for shift in SHIFTS)
        yield Cell("model", seed, "feedback", n, "some", kind, NOISES[-1])
    yield Cell("model", seed, "feedback", n, "some", "implicit")
    yield Cell("model", seed, "marks", n, "some", "right/wrong")
    yield Cell("model", seed, "random", n, "some", "right/wrong")
    yield Cell("model", seed, "retrieval", n, "some", "correction", shown=4)
