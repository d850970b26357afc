"""The classifier's part: each cell trains the served network further, on the seed corpus and what its arm adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import numpy as np
from benchmarks.exchange_rate.network import Floats, Ints, Lessons, Network, train, untrained
from benchmarks.exchange_rate.plan import SHIFTS, Cell, Shift, Sizes
from benchmarks.exchange_rate.task import CLASSES, INPUTS, People, World, generator

NEAREST = 16  # corrections that are looked at for a question
WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0)  # of all votes of corrections at distance 0, beside the model's probabilities
WIDTHS = (0.5, 0.8, 1.2, 2.0)  # distance at which a vote has fallen to exp(-1/2)
TUNING = 1_000  # labelled questions by which retrieval chooses weight and width; no other arm gets them
ROWS_AT_ONCE = 1_000


class Bench:
    """One seed: its truth, the network that is served, its users and the held-out questions."""

    def __init__(self, seed: int, sizes: Sizes):
        self.seed, self.sizes = seed, sizes
        self.world = World(seed)
        self.held_out = {shift: self.world.labelled(sizes.held_out, shift, "held out") for shift in SHIFTS}

    @cached_property
    def corpus(self) -> Lessons:
        return self.world.labelled(self.sizes.seed_corpus + max(self.sizes.corpus), "none", "corpus")

    @cached_property
    def seed_corpus(self) -> Lessons:
        return self.corpus.first(self.sizes.seed_corpus)

    @cached_property
    def served(self) -> Network:
        rng = generator(self.seed, "base")
        return train(untrained(INPUTS, CLASSES, rng), self.seed_corpus, self.sizes.steps, rng)

    @cached_property
    def people(self) -> dict[Shift, People]:
        return {shift: People(self.world, self.served, shift) for shift in SHIFTS}

    def scores(self, cell: Cell) -> dict[Shift, float]:
        """Share of right answers on held-out questions: the corpus's own, and the cell's users'."""
        answer = self._answering(cell)
        return {
            shift: right(answer(asked.inputs), asked)
            for shift, asked in self.held_out.items()
            if shift in ("none", cell.shift) or cell.arm in ("corpus", "served")
        }

    def _answering(self, cell: Cell) -> Callable[[Floats], Ints]:
        if cell.arm == "served":
            return self.served.answers
        if cell.arm == "retrieval":
            known = self.people[cell.shift].events("correction", cell.n, cell.noise)
            return Recall(self.served, known, self.world.labelled(TUNING, cell.shift, "tuning")).answers
        rng = generator(self.seed, "train", *cell.group)
        return train(self.served, self.lessons(cell), self.sizes.steps, rng).answers

    def lessons(self, cell: Cell) -> Lessons:
        """What the cell's arm trains on."""
        if cell.arm == "corpus":
            return self.corpus.first(self.sizes.seed_corpus + cell.n)
        people = self.people[cell.shift]
        if cell.arm == "labels":
            return self.seed_corpus + people.labelled(cell.n)
        assert cell.kind is not None
        if cell.arm == "random":
            return self.seed_corpus + people.random(cell.kind, cell.n)
        return self.seed_corpus + people.events(cell.kind, cell.n, cell.noise, weighed=cell.arm == "weighed")


class Recall:
    """A frozen network beside which the nearest corrections vote: what a prompt with retrieved corrections does.

    Class probabilities are the network's, plus for each of the nearest corrections ``weight`` x exp(-distance^2 / (2
    width^2)) / NEAREST for its class (after Khandelwal et al. 2020). Weight and width are the best on ``tuning``.
    """

    def __init__(self, served: Network, known: Lessons, tuning: Lessons):
        self.served, self.known = served, known
        looked = self._look(tuning.inputs)
        tried = [(weight, width) for weight in WEIGHTS for width in WIDTHS]
        self.weight, self.width = max(tried, key=lambda pair: right(_vote(*looked, *pair), tuning))

    def answers(self, inputs_ND: Floats) -> Ints:
        return _vote(*self._look(inputs_ND), self.weight, self.width)

    def _look(self, inputs_ND: Floats) -> tuple[Floats, Floats, Ints]:
        """The network's probabilities (N, K); squared distances and classes of the nearest corrections, (N, M) each."""
        found = list(self._nearest(inputs_ND))
        distances_NM, classes_NM = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self.served.probabilities(inputs_ND), distances_NM, classes_NM

    def _nearest(self, inputs_ND: Floats) -> Iterator[tuple[Floats, Ints]]:
        memory_KD, most = self.known.inputs, min(NEAREST, len(self.known))
        lengths_K = (memory_KD**2).sum(1)
        for begin in range(0, len(inputs_ND), ROWS_AT_ONCE):
            rows_ND = inputs_ND[begin : begin + ROWS_AT_ONCE]
            squared_NK = (rows_ND**2).sum(1)[:, None] + lengths_K - 2 * rows_ND @ memory_KD.T
            near_NM = np.argpartition(squared_NK, most - 1, axis=1)[:, :most]
            yield np.take_along_axis(squared_NK, near_NM, 1), self.known.classes[near_NM]


def _vote(mine_NK: Floats, squared_NM: Floats, classes_NM: Ints, weight: float, width: float) -> Ints:
    votes_NM = weight / NEAREST * np.exp(-squared_NM / (2 * width**2))
    total_NK = mine_NK.copy()
    np.add.at(total_NK, (np.arange(len(total_NK))[:, None], classes_NM), votes_NM)
    return total_NK.argmax(1)


def right(answers_N: Ints, asked: Lessons) -> float:
    return float((answers_N == asked.classes).mean())


def run(seed: int, cells: Iterable[Cell], sizes: Sizes) -> Iterator[tuple[Cell, dict[Shift, float]]]:
    """Scores of each cell of one seed, as they come."""
    bench = Bench(seed, sizes)
    for cell in cells:
        yield cell, bench.scores(cell)
