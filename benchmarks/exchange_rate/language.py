# pyright: basic
"""The embedded language model's part: words to spell backward, the trainer, sampler and verifier of Loopwise.

The corpus holds words of 3 to 6 letters; users ask the same, or words of 6 letters alone, or of 7 and 8, which the
corpus never shows. Datasets are written as each arm wants them, past curation: its caps and guards would change how
much an arm gets, and are measured elsewhere. Training is the loop's own: imitation, to which an answer that was marked
wrong teaches nothing, and in the arm "marks" Kahneman-Tversky optimization, which learns from both.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.exchange_rate.plan import SHIFTS, Cell, Shift, Sizes

from loopwise.curate.parquet import write
from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.model import Model
from loopwise.engine.embedded.sampler import Sampler, sample_all
from loopwise.engine.embedded.weights import fingerprint, load
from loopwise.practice.sources import FINAL, PRACTICE, problems
from loopwise.tiny import MODEL, corpus
from loopwise.train import RunSettings, train
from loopwise.types import Example, ExampleKind, Message, Problem, Release, SamplingParams
from loopwise.verify.table import resolve

FAMILY = "reasoning-gym:spell_backward"
LENGTHS: dict[Shift, str] = {
    "none": "min_word_len=3&max_word_len=6",
    "some": "min_word_len=6&max_word_len=6",
    "strong": "min_word_len=7&max_word_len=8",
}
BATCH = 32
GREEDY = SamplingParams(temperature=0.0, max_tokens=24)
ASKED_AT_ONCE = 2_000
SEEN = 0.3  # the share of answers on which an implicit event is seen
IMPLICIT_ERROR = 0.25  # how often an implicit event says the opposite of the truth

Answer = Callable[[Sequence[Problem]], list[str]]


@dataclass(frozen=True)
class Event:
    """A question, what the served model answered, and whether that was right."""

    problem: Problem
    answer: str
    right: bool


class Bench:
    """One seed: the served model, which is the shipped one after as many steps on its seed corpus as any arm takes."""

    def __init__(self, seed: int, sizes: Sizes, folder: Path):
        self.seed, self.sizes, self.folder = seed, sizes, folder
        self._heard: dict[Shift, list[Event]] = {}  # what users asked so far
        self.held_out = {
            shift: _drawn(FINAL, shift, 7_000 + seed, sizes.held_out, "held-out questions") for shift in SHIFTS
        }

    @cached_property
    def seed_corpus(self) -> list[Example]:
        rows = [
            row for row in corpus.build() if row.source.startswith(FAMILY) and "Pose" not in row.messages[0]["content"]
        ]
        return [_example(row.messages, row.completion, row.id) for row in rows[: self.sizes.seed_corpus]]

    @cached_property
    def more_corpus(self) -> list[Example]:
        """Further examples like the seed corpus, none of them twice."""
        n, known = max(self.sizes.corpus), {example.messages[0]["content"] for example in self.seed_corpus}
        drawn = _drawn(PRACTICE, "none", 1_000 + self.seed, n + len(known), "corpus examples")
        fresh = [problem for problem in drawn if problem.messages[0]["content"] not in known]
        return [_taught(problem) for problem in fresh[:n]]

    @cached_property
    def served(self) -> Release:
        shipped = Release("shipped", "champion", None, None, fingerprint(MODEL), str(MODEL), 0.0)
        return self._trained(shipped, self.seed_corpus, "served")

    def scores(self, cell: Cell) -> dict[Shift, float]:
        """Share of right answers on held-out questions: the corpus's own, and the cell's users'."""
        wanted = [s for s in SHIFTS if s in ("none", cell.shift) or cell.arm in ("corpus", "served")]
        if cell.arm == "served":
            return self._scored(answering(Path(self.served.path)), wanted)
        if cell.arm == "retrieval":
            return self._scored(answering(Path(self.served.path), self._corrections(cell), cell.shown), wanted)
        rows = [*self.seed_corpus, *self.lessons(cell)]
        with TemporaryDirectory(dir=self.folder) as scratch:
            made = self._trained(self.served, rows, f"{Path(scratch).name}/{cell.arm}", *map(str, cell.group))
            return self._scored(answering(Path(made.path)), wanted)

    def lessons(self, cell: Cell) -> list[Example]:
        """What the cell's arm trains on besides the seed corpus."""
        if cell.arm == "corpus":
            return self.more_corpus[: cell.n]
        if cell.arm == "labels":
            return [_taught(event.problem) for event in self._events(cell.shift, cell.n)]
        return self._corrections(cell) if cell.kind == "correction" else self._marked(cell)

    def _corrections(self, cell: Cell) -> list[Example]:
        """Right answers to questions that were answered wrong, some with a slip; random: those to other questions."""
        events = self._events(cell.shift, cell.n, wrong_alone=True)
        if cell.arm == "random":
            others = [*events[1:], events[0]]
            return [_taught(e.problem, str(o.problem.reference)) for e, o in zip(events, others, strict=True)]
        drawn = self._rng("slips", cell.shift).random((cell.n, 2)).tolist()
        slips = [_slip(str(e.problem.reference), at) for e, (_, at) in zip(events, drawn, strict=True)]
        return [
            _taught(e.problem, slip if chance < cell.noise else None)
            for e, slip, (chance, _) in zip(events, slips, drawn, strict=True)
        ]

    def _marked(self, cell: Cell) -> list[Example]:
        """Answers that were marked right, at the weight that the kind of mark deserves; marks: the others, too."""
        implicit = cell.kind == "implicit"
        error = IMPLICIT_ERROR if implicit else 0.0
        events = self._events(cell.shift, cell.n, seen=SEEN if implicit else 1.0)
        rng = self._rng("marks", cell.shift, cell.kind, cell.arm)
        right_N = np.array([event.right for event in events])
        flipped_N, mistaken_N = rng.random(cell.n) < cell.noise, rng.random(cell.n) < error
        good_N = rng.random(cell.n) < 0.5 if cell.arm == "random" else right_N ^ flipped_N ^ mistaken_N
        made = [
            _example(event.problem.messages, event.answer, event.problem.key, "approved" if good else "refused")
            for event, good in zip(events, good_N, strict=True)
            if good or cell.arm == "marks"
        ]
        return [replace(example, weight=1 - 2 * error) for example in made]

    def _events(self, shift: Shift, n: int, wrong_alone: bool = False, seen: float = 1.0) -> list[Event]:
        """The first ``n`` questions of this shift's users whose answers are wrong, or seen."""
        found: list[Event] = []
        for event, chance in self._stream(shift):
            if chance < seen and not (wrong_alone and event.right):
                found.append(event)
            if len(found) == n:
                return found
        raise ValueError(f"The users of shift {shift!r} ran out of questions at {len(found)} of {n} events.")

    def _stream(self, shift: Shift) -> Iterator[tuple[Event, float]]:
        """What users ask, the same each time, and for each a number in [0, 1) that decides whether it is seen."""
        known = self._heard.setdefault(shift, [])
        rng = self._rng("seen", shift)
        yield from zip(known, rng.random(len(known)), strict=True)
        asked = islice(problems(f"{FAMILY}?{LENGTHS[shift]}", 2_000 + self.seed, PRACTICE), len(known), None)
        while some := list(islice(asked, ASKED_AT_ONCE)):
            answers = answering(Path(self.served.path))(some)
            fresh = [Event(p, text, right(p, text)) for p, text in zip(some, answers, strict=True)]
            known += fresh
            yield from zip(fresh, rng.random(len(fresh)), strict=True)

    def _trained(self, parent: Release, rows: list[Example], name: str, *seeding: str) -> Release:
        settings = RunSettings(
            method="kto" if name.endswith("marks") else "sft",
            examples=self.sizes.steps * BATCH,
            batch=BATCH,
            seed=self._number(*seeding),
            threads=1,
        )
        out = self.folder / name
        dataset = write(rows, {}, out.parent / f"{out.name}-data")
        made = train(dataset, parent, out, settings, lambda step, done, total: None)
        return Release(made.name, "candidate", parent.name, dataset.name, made.fingerprint, str(out), 0.0)

    def _scored(self, answer: Answer, shifts: Iterable[Shift]) -> dict[Shift, float]:
        asked = {shift: self.held_out[shift] for shift in shifts}
        return {
            shift: float(np.mean([right(p, text) for p, text in zip(found, answer(found), strict=True)]))
            for shift, found in asked.items()
        }

    def _rng(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(self._number(*names))

    def _number(self, *names: object) -> int:
        return zlib.crc32(" ".join(map(str, (self.seed, *names))).encode())


def answering(folder: Path, shown: Sequence[Example] = (), most: int = 0) -> Answer:
    """Greedy answers of a model folder; with ``most``, after the ``most`` of ``shown`` whose words are most alike, as
    earlier turns of the conversation, the most alike last."""
    chat, model = Chat(folder), Model(load(folder))

    def answer(asked: Sequence[Problem]) -> list[str]:
        before = nearest([_word(p.messages) for p in asked], [_word(e.messages) for e in shown], most) if most else []
        turns = [[m for at in row for m in _turn(shown[at])] for row in before] or [[]] * len(asked)
        prompts = [chat.prompt_ids([*said, *p.messages]) for said, p in zip(turns, asked, strict=True)]
        return [completions[0].text for completions in sample_all(Sampler(model, chat), prompts, GREEDY)]

    return answer


def nearest(words: Sequence[str], known: Sequence[str], most: int) -> list[list[int]]:
    """For each word the indexes of the ``most`` known ones that share most pairs of letters with it, by cosine."""
    pairs = sorted({pair for word in known for pair in _pairs(word)})
    index = {pair: i for i, pair in enumerate(pairs)}

    def counted(rows: Sequence[str]) -> np.ndarray:
        counts = np.zeros((len(rows), len(pairs)))
        for i, word in enumerate(rows):
            for pair, n in Counter(_pairs(word)).items():
                if pair in index:
                    counts[i, index[pair]] = n
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1)

    alike = counted(words) @ counted(known).T
    return np.argsort(alike, axis=1, kind="stable")[:, -most:].tolist()


def right(problem: Problem, text: str) -> bool:
    return resolve(problem.verifier)(problem, text) >= 1.0


def run(seed: int, cells: Iterable[Cell], sizes: Sizes) -> Iterator[tuple[Cell, dict[Shift, float]]]:
    """Scores of each cell of one seed, as they come."""
    with TemporaryDirectory(prefix="exchange-rate-") as folder:
        bench = Bench(seed, sizes, Path(folder))
        for cell in cells:
            yield cell, bench.scores(cell)


def _drawn(split: str, shift: Shift, seed: int, n: int, what: str) -> list[Problem]:
    found = list(islice(problems(f"{FAMILY}?{LENGTHS[shift]}", seed, split), n))
    if len(found) < n:
        raise ValueError(f"There are only {len(found)} {what} for the shift {shift!r}, and {n} are needed.")
    return found


def _example(messages: Sequence[Message], text: str, origin: str, kind: ExampleKind = "demonstration") -> Example:
    return Example(tuple(messages), text, kind, FAMILY, (origin,))


def _taught(problem: Problem, text: str | None = None) -> Example:
    return _example(problem.messages, str(problem.reference) if text is None else text, problem.key)


def _slip(text: str, at: float) -> str:
    """The text with two neighboring letters swapped, at the share ``at`` of its length; without its last letter where
    that would change nothing."""
    i = int(at * (len(text) - 1))
    swapped = text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return swapped if swapped != text else text[:-1]


def _turn(example: Example) -> tuple[Message, ...]:
    return (*example.messages, {"role": "assistant", "content": example.completion})


def _word(messages: Sequence[Message]) -> str:
    return str(messages[0]["content"]).rsplit(" ", 1)[-1]


def _pairs(word: str) -> list[str]:
    marked = f"^{word}$"
    return [marked[i : i + 2] for i in range(len(marked) - 1)]
