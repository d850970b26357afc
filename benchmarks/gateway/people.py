"""People who chat, and say what they think of the answers: rows as the store keeps them, the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

UNTIL_S = 1_790_000_000.0
RELEASES = tuple(f"seeded@{i}" for i in range(5))
PEOPLE = 20_000
LONGEST_EPISODE = 6
SAID = 0.05  # the share of exchanges that somebody says something about

EXCHANGE_COLUMNS = (
    "id", "at", "model", "release", "fingerprint", "arm", "propensity", "request", "response", "status", "latency_s",
    "first_token_s", "user", "episode", "train", "error", "endpoint", "store", "upstream_id", "conversation",
)  # fmt: skip
FEEDBACK_COLUMNS = (
    "id", "at", "kind", "value", "exchange_id", "episode_id", "choice", "source", "user", "comment", "supersedes",
    "metadata",
)  # fmt: skip

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]  # ten bits each
_SYLLABLES = ("ba", "ri", "to", "men", "la", "si", "cor", "den", "u", "pal", "ne", "vi", "gan", "mo", "ter", "sha")


@dataclass(frozen=True)
class Wanted:
    """``days`` of traffic that ends at ``until_s``."""

    exchanges: int
    seed: int = 0
    days: float = 90.0
    until_s: float = UNTIL_S

    @property
    def from_s(self) -> float:
        return self.until_s - 86_400 * self.days


@dataclass(frozen=True)
class Turn:
    """One exchange, as far as feedback on it needs to know."""

    id: str
    at: float
    user: str
    episode: str


def rows(wanted: Wanted) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...] | None]]:
    """Exchanges in order of time, each with the feedback on it, or None."""
    rng = random.Random(wanted.seed)
    sentences = _sentences(rng)
    users = [f"{rng.getrandbits(128):032x}" for _ in range(PEOPLE)]
    step_s = 86_400 * wanted.days / wanted.exchanges
    user, episode, left = "", "", 0
    for i in range(wanted.exchanges):
        at = wanted.from_s + (i + rng.random()) * step_s
        if left == 0:
            user = users[int(PEOPLE * rng.random() ** 3)]  # few people write much
            episode = f"ep_{_ulid(rng, at)}"
            left = 1 + int(LONGEST_EPISODE * rng.random() ** 2)
        left -= 1
        turn = Turn(f"ex_{_ulid(rng, at)}", at, user, episode)
        release = RELEASES[i * len(RELEASES) // wanted.exchanges]
        yield _exchange(rng, turn, release, sentences), _feedback(rng, turn, sentences) if rng.random() < SAID else None


def _exchange(rng: random.Random, turn: Turn, release: str, sentences: list[str]) -> tuple[Any, ...]:
    drawn = rng.random()
    status, error = 200, None
    if drawn > 0.99:
        status, error = (502, "The model's server did not answer.") if drawn > 0.995 else (499, "the client hung up")
    question, answer = _text(rng, sentences, 3), _text(rng, sentences, 5)
    weights = fingerprint(release)
    request, response = _request(turn, question), _response(turn, weights, answer)
    latency_s = 0.3 + 2.0 * rng.random()
    return (
        turn.id, turn.at, "loopwise", release, weights, "champion", 1.0, request, response if status == 200 else None,
        status, latency_s, 0.1 * latency_s if drawn < 0.5 else None, turn.user, turn.episode, int(drawn > 0.02), error,
        "chat.completions", 1, f"chatcmpl-{turn.id[-20:]}", rng.getrandbits(64) - (1 << 63),
    )  # fmt: skip


# Written as json.dumps would write them, at a tenth of its time: the sentences need no escapes.
def _request(turn: Turn, question: str) -> str:
    return (
        f'{{"model":"loopwise","temperature":0.7,"max_tokens":512,"user":"{turn.user}","messages":'
        '[{"role":"system","content":"You answer briefly and say where you are not sure."},'
        f'{{"role":"user","content":"{question}"}}]}}'
    )


def _response(turn: Turn, weights: str, answer: str) -> str:
    return (
        f'{{"id":"{turn.id}","object":"chat.completion","created":{int(turn.at)},"model":"loopwise",'
        f'"system_fingerprint":"{weights}","choices":[{{"index":0,"message":{{"role":"assistant",'
        f'"content":"{answer}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":60,'
        '"completion_tokens":90,"total_tokens":150}}'
    )


def _feedback(rng: random.Random, turn: Turn, sentences: list[str]) -> tuple[Any, ...]:
    kind, value, source, metadata = _opinion(rng, sentences)
    at = turn.at + 60 * rng.random()
    return (
        f"fb_{_ulid(rng, at)}", at, kind, json.dumps(value), turn.id, turn.episode, 0, source, turn.user, None, None,
        json.dumps(metadata),
    )  # fmt: skip


def _opinion(rng: random.Random, sentences: list[str]) -> tuple[str, Any, str, dict[str, Any]]:
    drawn = rng.random()
    if drawn < 0.6:
        return "thumbs", 1 if rng.random() < 0.7 else -1, "human", {}
    if drawn < 0.7:
        return "correction", _text(rng, sentences, 5), "human", {}
    if drawn < 0.8:
        return "rating", float(rng.randint(1, 5)), "human", {"scale": [1, 5]}
    if drawn < 0.85:
        return "comment", _text(rng, sentences, 1), "human", {}
    if drawn < 0.95:
        return "follow_up", _text(rng, sentences, 1), "implicit", {}
    return "regenerate", True, "implicit", {}


def fingerprint(release: str) -> str:
    return f"upstream:{release}"


def _sentences(rng: random.Random) -> list[str]:
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 3))) for _ in range(2_000)]
    return [" ".join(rng.choices(words, k=rng.randint(8, 14))).capitalize() + "." for _ in range(4_096)]


def _text(rng: random.Random, sentences: list[str], n: int) -> str:
    """``n`` sentences and a number that makes them unlike any other."""
    bits = rng.getrandbits(12 * n + 40)
    parts = [sentences[bits >> 12 * k & 4_095] for k in range(n)]
    return f"{' '.join(parts)} ({bits >> 12 * n})"


def _ulid(rng: random.Random, at: float) -> str:
    """As the gateway gives them: they sort by time."""
    number = int(at * 1_000) << 80 | rng.getrandbits(80)
    return "".join([_PAIRS[number >> shift & 1_023] for shift in range(120, -1, -10)])
