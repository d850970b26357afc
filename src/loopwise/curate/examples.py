"""Judged attempts, and exchanges with what people said of them → examples."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from loopwise.curate.identity import prompt_id
from loopwise.curate.marks import CLEAR, Mark, Standing, standing
from loopwise.curate.remembered import Remembered
from loopwise.curate.spill import spilled
from loopwise.curate.spoken import Answer, Spoken, spoken
from loopwise.curate.text import same
from loopwise.practice.groups import split_groups, working_paths
from loopwise.types import Example, ExampleKind, Exchange, Judged, Signal

ANONYMOUS = "anonymous"  # nobody's feedback is one person's, so that the cap per person binds it
About = tuple[int, Exchange, Sequence[Signal]]  # an exchange, its place in the store's history, what was said of it


def from_judged(judged: Judged, order: int) -> list[Example]:
    """The working paths of the group, as ``practice/groups.py`` says what works and what teaches."""
    return [
        Example(
            messages=path.problem.messages,
            completion=path.attempt.text,
            kind="practice",
            source=path.problem.source,
            provenance=(f"{path.attempt.release}/{path.problem.key}/{path.attempt.index}",),
            key=path.problem.key,
            segment=path.problem.segment,
            order=order,
        )
        for path in working_paths(split_groups([judged]))
    ]


def from_records(
    groups: Iterable[tuple[int, Judged]], about: Iterable[About], quarantined: Container[str] = ()
) -> Iterator[Example]:
    """Everything that was recorded: what practice showed, (turn, judged group) by group, then what people said."""
    for order, (_, judged) in enumerate(groups):
        yield from from_judged(judged, order)
    yield from from_people(about, quarantined)


def from_people(about: Iterable[About], quarantined: Container[str] = ()) -> Iterator[Example]:
    """Examples from exchanges in the order of the store, each with its weighed signals.

    - A correction or edit: a demonstration, and a pair over the answer that was given (or over ``worse``).
    - A preference: a pair.
    - An answer that is clearly good (``marks.py``): approved, once for each person who says so. One that is clearly
      bad: refused, likewise. Their weight is what all of them say together, at most 1, times what each stands for.
    - An answer asked for anew: a pair of the later answer over the earlier, where the later is not marked down, the
      earlier not approved, and both answer the same prompt.
    - Good and bad answers to one prompt, in whatever exchanges: a pair; each new one with ``PER_PROMPT`` earlier ones.

    A correction that is the answer itself approves it. What cannot be trained on comes out all the same (an empty
    correction, an image in the prompt), for ``unusable`` to drop and count. Nothing comes from an exchange with
    ``train`` False, one that failed, or one without an answer. What people in ``quarantined`` say changes nothing for
    others; what they alone would teach comes out under their names, for the quarantine to drop and count.
    """
    with spilled() as spill:
        remembered = Remembered(spill)
        for order, exchange, signals in about:
            said = spoken(exchange) if signals or remembered.awaits(exchange.id) else None
            if said is not None:
                yield from _Talk(order, exchange.id, said, quarantined, remembered).examples(signals)


@dataclass(frozen=True)
class _Talk:
    """One exchange, as its signals are read."""

    order: int
    id: str
    said: Spoken
    quarantined: Container[str]
    remembered: Remembered

    def examples(self, signals: Sequence[Signal]) -> Iterator[Example]:
        marks: dict[int, dict[str, Mark]] = {}  # by choice and person
        implied: dict[int, list[Mark]] = {}  # by corrections and preferences
        for signal in signals:
            answer = self.said.answers.get(signal.choice)
            if signal.text is None:
                if answer is not None and signal.kind != "preference":
                    _mark(marks, signal).add(signal, signal.strength)
                continue
            yield from self._told(signal, signal.text, answer)
            if answer is None or not signal.text.strip():
                continue
            if signal.kind != "preference" and _is_answer(signal.text, answer):
                _mark(marks, signal).add(signal, abs(signal.strength))
            else:
                mark = Mark(signal.user or ANONYMOUS)
                mark.add(signal, signal.strength if signal.kind == "preference" else -abs(signal.strength))
                implied.setdefault(signal.choice, []).append(mark)
        standings = {
            choice: standing(marks.get(choice, {}).values(), implied.get(choice, ()), self.quarantined)
            for choice in self.said.answers
        }
        for choice, answer in self.said.answers.items():
            yield from self._marked(answer, standings[choice], list(marks.get(choice, {}).values()))
        yield from self._instead(signals, standings)

    def _told(self, signal: Signal, text: str, answer: Answer | None) -> Iterator[Example]:
        """What a signal with a better text teaches."""
        told = self._example("demonstration", signal, Answer(text))
        if signal.kind != "preference" and (answer is None or not _is_answer(text, answer)):
            yield told
        worse = signal.worse if signal.worse is not None else answer.text if answer is not None else ""
        if worse.strip() and text.strip():
            yield replace(told, kind="pair", rejected=worse)

    def _marked(self, answer: Answer, stands: Standing, marks: Sequence[Mark]) -> Iterator[Example]:
        kind: ExampleKind = "approved" if stands.good else "refused"
        agreeing = [mark for mark in marks if mark.user not in self.quarantined and (mark.net > 0) == stands.good]
        if (stands.good or stands.bad) and agreeing:
            together = min(1.0, abs(stands.total))
            found = [self._from_mark(kind, mark, answer, together * mark.stands_for) for mark in agreeing]
            yield from found
            if self._comparable:
                yield from self._pairs(max(found, key=lambda example: example.weight))
        for mark in marks:
            if mark.user in self.quarantined and abs(mark.net) >= CLEAR:
                own: ExampleKind = "approved" if mark.net > 0 else "refused"
                yield self._from_mark(own, mark, answer, min(1.0, abs(mark.net)) * mark.stands_for)

    def _pairs(self, marked: Example) -> Iterator[Example]:
        for other in self.remembered.opposites(marked):
            good, bad = (marked, other) if marked.kind == "approved" else (other, marked)
            if bad.completion.strip() and not bad.tool_calls and not same(good.completion, bad.completion):
                yield replace(
                    marked,
                    kind="pair",
                    completion=good.completion,
                    tool_calls=good.tool_calls,
                    rejected=bad.completion,
                    provenance=(*good.provenance, *bad.provenance),
                    weight=min(good.weight, bad.weight),
                    at=max(good.at, bad.at),
                )

    def _instead(self, signals: Sequence[Signal], standings: dict[int, Standing]) -> Iterator[Example]:
        """Pairs of this exchange's answer over those that it was asked for in place of; remembers its own answers that
        another was asked for in place of."""
        later = self.said.answers.get(0) if self._comparable else None
        for earlier in self.remembered.replaced_by(self.id):
            if later is not None and not standings[0].doubted:
                pair = replace(
                    earlier,
                    kind="pair",
                    completion=later.text,
                    tool_calls=later.tool_calls,
                    rejected=earlier.completion,
                    provenance=(self.id, *earlier.provenance),
                    order=self.order,
                )
                mine = self._bare(later)
                if prompt_id(mine) == prompt_id(earlier) and not same(later.text, earlier.completion):
                    yield pair
        for signal in signals:
            answer = self.said.answers.get(signal.choice)
            if signal.instead is None or answer is None or answer.tool_calls or not answer.text.strip():
                continue
            if self._comparable and not standings[signal.choice].good:
                self.remembered.await_better(signal.instead, self._example("refused", signal, answer))

    @property
    def _comparable(self) -> bool:
        return all(isinstance(message["content"], str) for message in self.said.messages)

    def _example(self, kind: ExampleKind, signal: Signal, answer: Answer) -> Example:
        amount = 1.0 if signal.kind == "preference" else abs(signal.strength)  # how good either is, it does not say
        return replace(
            self._bare(answer),
            kind=kind,
            provenance=(self.id, signal.feedback_id),
            weight=amount * signal.confidence * signal.weight,
            user=signal.user or ANONYMOUS,
            at=signal.at,
        )

    def _from_mark(self, kind: ExampleKind, mark: Mark, answer: Answer, weight: float) -> Example:
        found = replace(self._bare(answer), kind=kind, provenance=(self.id, *mark.feedback), weight=weight)
        return replace(found, user=mark.user, at=mark.at)

    def _bare(self, answer: Answer) -> Example:
        return Example(
            messages=self.said.messages,
            completion=answer.text,
            kind="approved",
            source="people",
            provenance=(self.id,),
            segment=self.said.segment,
            order=self.order,
            tool_calls=answer.tool_calls,
            tools=self.said.tools,
        )


def _mark(marks: dict[int, dict[str, Mark]], signal: Signal) -> Mark:
    user = signal.user or ANONYMOUS
    return marks.setdefault(signal.choice, {}).setdefault(user, Mark(user))


def _is_answer(text: str, answer: Answer) -> bool:
    return not answer.tool_calls and same(text, answer.text)
