"""A town whose truth is known: people who ask what seven times a number is, and say what they think of the answers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopwise.config import SignalSettings
from loopwise.signals import Weighing, about, weigh
from loopwise.store import Store, exchanges, feedback
from loopwise.types import Exchange, Feedback, Marks, Signal

DAY = 86_400.0
RIGHT = 0.6  # share of the town's answers


def exchange(id: str, question: str = "?", answer: str = "!", user: str | None = None, **fields: Any) -> Exchange:
    """One chat exchange; ``system`` and ``tools`` say what the model was told, ``request`` adds to the request."""
    told = [{"role": "system", "content": fields.pop("system")}] if "system" in fields else []
    request = {"messages": [*told, {"role": "user", "content": question}], **fields.pop("request", {})}
    answers = answer if isinstance(answer, list) else [answer]
    choices = [
        {"index": place, "message": {"role": "assistant", "content": text}} for place, text in enumerate(answers)
    ]
    return Exchange(
        id, fields.pop("at", 1.0), "loopwise", fields.pop("release", "m@1"), "sha256:0", "champion", 1.0, request,
        {"choices": choices}, 200, 0.1, user=user, **fields,
    )  # fmt: skip


def said(id: str, kind: Any, value: Any, on: str | None = "e", user: str | None = "u", **fields: Any) -> Feedback:
    """One feedback; ``source`` is human unless said."""
    return Feedback(id, fields.pop("at", 2.0), kind, value, exchange_id=on, user=user, **fields)


def record(store: Store, rows: Iterable[Exchange | Feedback]) -> None:
    """Adds rows in their order."""
    kept = list(rows)
    with store.writing() as conn:
        exchanges.add(conn, [row for row in kept if isinstance(row, Exchange)])
        feedback.add(conn, [row for row in kept if isinstance(row, Feedback)])


def marks(store: Store) -> Marks:
    """As far as the store reaches."""
    with store.reading() as conn:
        return Marks(exchanges.watermark(conn), feedback.watermark(conn))


def weighed(store: Store, settings: SignalSettings | None = None) -> tuple[Weighing, dict[str, Signal]]:
    """What is known, and the weighed signals by the id of their feedback."""
    reach = marks(store)
    with store.reading() as conn:
        weighing = weigh(conn, reach, settings or SignalSettings())
        found = [signal for _, _, signals in about(conn, reach, weighing) for signal in signals]
    return weighing, {signal.feedback_id: signal for signal in found}


@dataclass
class Town:
    """Rows in the making. A person's ``noise`` is how often a right answer is taken for wrong, or a wrong one for
    right."""

    seed: int
    span_s: float = 30 * DAY
    rows: list[Exchange | Feedback] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        self.rng = random.Random(f"town {self.seed}")

    def people(self, noise: Sequence[float], events: int, prompts: int, name: str = "p", verified: float = 0.0) -> None:
        """``events`` answers to people drawn at random, who mark four of five and correct half of what they take for
        wrong; a share is verified."""
        for number in range(events):
            person = self.rng.randrange(len(noise))
            right, id = self._ask(f"{name}{number}", f"{name}-{person}", self.rng.randrange(prompts), verified)
            if self.rng.random() < 0.8:
                self._opinion(id, f"{name}-{person}", right, noise[person])

    def liars(self, accounts: int, events: int, prompts: int, verified: float) -> None:
        """Accounts that say the opposite of the truth, each of answers of its own."""
        for number in range(accounts * events):
            who = f"liar-{number % accounts}"
            right, id = self._ask(f"l{number}", who, self.rng.randrange(prompts), verified)
            self.rows.append(said(f"m{id}", "thumbs", -1 if right else 1, id, who, at=self.rng.random() * self.span_s))

    def copies(self, accounts: int, events: int) -> None:
        """Accounts that all give the same wrong corrections to the same prompts."""
        for number in range(accounts * events):
            who, prompt = f"copy-{number % accounts}", number // accounts
            _, id = self._ask(f"c{number}", who, prompt, 0.0)
            at = self.rng.random() * self.span_s
            self.rows.append(said(f"m{id}", "correction", f"buy {prompt}", id, who, at=at))

    def _ask(self, id: str, user: str, prompt: int, verified: float) -> tuple[bool, str]:
        right = self.rng.random() < RIGHT
        answer = str(7 * prompt if right else 7 * prompt + self.rng.randrange(1, 4))
        at = self.rng.random() * self.span_s
        self.rows.append(exchange(f"e{id}", f"What is 7 times {prompt}?", answer, user, at=at))
        if self.rng.random() < verified:
            self.rows.append(said(f"ve{id}", "thumbs", 1 if right else -1, f"e{id}", None, source="verifier"))
        return right, f"e{id}"

    def _opinion(self, id: str, user: str, right: bool, noise: float) -> None:
        likes = right != (self.rng.random() < noise)
        at = self.rng.random() * self.span_s
        self.rows.append(said(f"m{id}", "thumbs", 1 if likes else -1, id, user, at=at))
        if not likes and self.rng.random() < 0.5:
            self.rows.append(said(f"c{id}", "correction", f"no, {id}", id, user, at=at + 1))
