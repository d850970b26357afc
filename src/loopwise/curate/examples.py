"""Judged attempts and signals → examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from loopwise.practice.groups import split_groups, working_paths
from loopwise.types import Example, Exchange, Judged, Signal

ENOUGH_CONFIDENCE = 0.5  # approval with less is too weak to train on
Kind = Literal["demonstration", "approved"]
ANONYMOUS = "anonymous"  # nobody's feedback is one person's, so that the cap per person binds it


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


def from_exchanges(served: Iterable[tuple[int, Exchange]], signals: Iterable[Signal]) -> list[Example]:
    """The examples of all (order, exchange) that ``signals`` speak of."""
    meant: dict[str, list[Signal]] = {}
    for signal in signals:
        meant.setdefault(signal.exchange_id, []).append(signal)
    asked = ((exchange, meant[exchange.id], order) for order, exchange in served if exchange.id in meant)
    return [example for exchange, about, order in asked for example in from_exchange(exchange, about, order)]


def from_exchange(exchange: Exchange, signals: Sequence[Signal], order: int) -> list[Example]:
    """A correction becomes a demonstration, an approved answer an example of itself; a mark against an answer, nothing.

    Nothing comes from an exchange with ``train`` False, one that did not succeed, or one that was no chat. An answer
    that others marked down is not approved.
    """
    if exchange.endpoint != "chat.completions" or not exchange.train or exchange.status != 200:
        return []
    if exchange.response is None:
        return []
    answers = {
        choice.get("index", place): choice["message"]["content"]
        for place, choice in enumerate(exchange.response["choices"])
        if isinstance(choice.get("message", {}).get("content"), str)  # a tool call says nothing that is trained on
    }
    found: list[Example] = []
    for signal in signals:
        if signal.text is not None:
            found.append(_example(exchange, signal, signal.text, "demonstration", order))
        elif signal.choice in answers and _approves(signal, signals):
            found.append(_example(exchange, signal, answers[signal.choice], "approved", order))
    return found


def _approves(signal: Signal, signals: Sequence[Signal]) -> bool:
    marked_down = any(other.choice == signal.choice and other.strength < 0 for other in signals)
    return signal.strength > 0 and signal.confidence >= ENOUGH_CONFIDENCE and not marked_down


def _example(exchange: Exchange, signal: Signal, text: str, kind: Kind, order: int) -> Example:
    return Example(
        messages=tuple(exchange.request["messages"]),
        completion=text,
        kind=kind,
        source="people",
        provenance=(exchange.id, signal.feedback_id),
        user=signal.user or ANONYMOUS,
        order=order,
    )
