"""The words of Loopwise, as frozen data, and the protocols that the rooms meet in. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

JsonObject = dict[str, Any]
Message = Mapping[str, Any]  # OpenAI's chat message: {"role", "content", …}, kept as it came

FeedbackKind = Literal[
    "thumbs", "rating", "metric", "correction", "preference", "comment",
    "accept", "copy", "edit", "regenerate", "abandon", "follow_up",
]  # fmt: skip
Endpoint = Literal["chat.completions", "completions", "responses", "embeddings"]
FeedbackSource = Literal["human", "implicit", "judge", "verifier"]
ExampleKind = Literal["practice", "demonstration", "approved", "refused", "pair", "anchor"]
SuiteRole = Literal["target", "anchor", "probe", "final"]
CheckResult = Literal["passed", "failed", "not proved"]
ReleaseState = Literal["candidate", "shadow", "canary", "champion", "retired", "rejected", "rolled_back"]


@dataclass(frozen=True)
class SamplingParams:
    """How to sample. ``temperature`` 0 is greedy. ``seed`` None lets the engine draw one."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 64
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False


@dataclass(frozen=True)
class Completion:
    """One sampled answer. ``logprobs`` holds one natural-log probability per sampled token, under temperature 1."""

    text: str
    finish_reason: str  # "stop" or "length"
    tokens: int
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Exchange:
    """One request to the model and what came back; ``at`` in seconds since the epoch."""

    id: str
    at: float
    model: str  # the alias that was asked for
    release: str
    fingerprint: str
    arm: str  # "champion", "named" (a release or alias asked for by name), "external" (brought in)
    propensity: float  # the probability with which this arm was drawn
    request: JsonObject  # the body as sent: messages, sampling parameters, unknown fields
    response: JsonObject | None  # OpenAI's response object (a stream is reassembled); None when there was none
    status: int  # HTTP status given to the client; 499 when the client went away
    latency_s: float
    first_token_s: float | None = None
    user: str | None = None  # pseudonym
    episode: str | None = None
    train: bool = True  # False binds every later stage
    error: str | None = None
    endpoint: Endpoint = "chat.completions"
    store: bool = True  # False: the caller wants no text kept, neither of the exchange nor of feedback on it
    upstream_id: str | None = None  # what the model's server calls its answer
    conversation: int | None = None  # keyed 64-bit hash of user and messages, signed; None where text is not kept


@dataclass(frozen=True)
class Feedback:
    """What somebody or something said about an exchange or an episode. Append-only."""

    id: str
    at: float
    kind: FeedbackKind
    value: Any
    exchange_id: str | None = None
    episode_id: str | None = None
    choice: int = 0
    source: FeedbackSource = "human"
    user: str | None = None  # pseudonym
    comment: str | None = None
    supersedes: str | None = None
    metadata: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Marks:
    """How far a turn reads: the highest ``seq`` of each table, as the turn found it."""

    exchanges: int
    feedback: int


@dataclass(frozen=True)
class Signal:
    """What one feedback is taken to mean. ``text`` is the better answer, where the feedback gives one; ``worse`` is the
    one that it was preferred to, None for the answer that was given."""

    feedback_id: str
    exchange_id: str
    strength: float  # [-1, 1]
    confidence: float  # [0, 1]
    reason: str
    kind: FeedbackKind
    source: FeedbackSource
    at: float  # seconds since the epoch
    choice: int = 0
    user: str | None = None
    text: str | None = None
    worse: str | None = None
    instead: str | None = None  # id of the exchange that was asked for instead of this one
    weight: float = 1.0  # how many like it it stands for, where those who speak are not those who use


@dataclass(frozen=True)
class Problem:
    """Something to solve. ``key`` is canonical: equal problems have equal keys, whatever their wording or origin."""

    key: str
    source: str  # e.g. "reasoning-gym:gcd"
    messages: tuple[Message, ...]
    reference: str | None
    verifier: str  # a name in verify's table, e.g. "reasoning-gym:gcd" or "exact"
    segment: str = ""
    metadata: JsonObject = field(default_factory=dict[str, Any])  # what the verifier needs besides


@dataclass(frozen=True)
class Attempt:
    """One path the model took at a problem."""

    problem_key: str
    index: int  # 0 … K-1
    text: str
    finish_reason: str
    tokens: int
    logprob: float | None  # sum over the sampled tokens
    release: str
    fingerprint: str


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of an attempt. ``failed`` is set when the verifier broke, hung or answered nonsense."""

    score: float  # [0, 1]
    reason: str
    verifier: str
    failed: bool = False

    @property
    def right(self) -> bool:
        """Only full marks count as right: partial credit is not evidence of a working path."""
        return self.score >= 1.0


@dataclass(frozen=True)
class Judged:
    """A problem with its attempts and their verdicts, in the same order."""

    problem: Problem
    attempts: tuple[Attempt, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def n_right(self) -> int:
        return sum(v.right for v in self.verdicts)


@dataclass(frozen=True)
class Example:
    """One training record with its provenance.

    ``kind`` says what it teaches: ``practice`` (a path that a verifier paid), ``demonstration`` (somebody's right
    answer), ``approved`` (an answer that was marked good), ``refused`` (one that was marked bad, never to be imitated),
    ``pair`` (``completion`` is better than ``rejected``), ``anchor``.
    """

    messages: tuple[Message, ...]  # the prompt
    completion: str
    kind: ExampleKind
    source: str
    provenance: tuple[str, ...]  # ids of exchanges, feedback, attempts or anchors
    weight: float = 1.0
    key: str = ""  # canonical key of the problem, where there is one
    user: str | None = None
    segment: str = ""
    order: int = 0  # position in the store's history; curation keeps the earliest of equals
    at: float = 0.0  # when it was said, in seconds since the epoch; 0 where nobody said it
    rejected: str | None = None  # of a pair
    tool_calls: tuple[JsonObject, ...] = ()  # the completion's, as in OpenAI's assistant message
    tools: tuple[JsonObject, ...] = ()  # what the model was told it could call, as in OpenAI's request


@dataclass(frozen=True)
class Dataset:
    """An immutable, content-addressed set of examples: ``name`` is ``sha256:…`` of the rows."""

    name: str
    path: Path  # Parquet
    n: int
    manifest: JsonObject  # counts by kind and source, each drop with its reason


@dataclass(frozen=True)
class Candidate:
    """A trained model version, with everything needed to make it again."""

    name: str
    parent: str
    dataset: str
    trainer: str
    settings: JsonObject
    seed: int
    metrics: JsonObject
    fingerprint: str
    path: Path
    versions: JsonObject


@dataclass(frozen=True)
class Suite:
    """Problems to evaluate on; ``version`` is a hash of the content."""

    name: str
    role: SuiteRole
    version: str
    problems: tuple[Problem, ...]
    margin: float = 0.05  # the loss that an anchor may at most show, as a share of 1


@dataclass(frozen=True)
class SuiteScores:
    """Scores of one release on one suite: ``scores`` in the order of the suite's problems."""

    suite: str
    version: str
    release: str
    fingerprint: str
    scores: tuple[float, ...]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One question of the gate: estimate with its interval against a threshold. Scores are shares of 1."""

    name: str
    question: str
    estimate: float
    low: float
    high: float
    threshold: float
    result: CheckResult
    n: int
    p_value: float | None = None
    power: float | None = None  # the probability with which the stated effect would have been seen
    detail: JsonObject = field(default_factory=dict[str, Any])

    @property
    def passed(self) -> bool:
        return self.result == "passed"


@dataclass(frozen=True)
class GateReport:
    """The referee's report on one candidate."""

    champion: str
    candidate: str
    checks: tuple[Check, ...]
    worst: tuple[JsonObject, ...] = ()  # examples lost: {suite, prompt, reference, champion, candidate}

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(c.passed for c in self.checks)


@dataclass(frozen=True)
class Release:
    """A model version as the store knows it."""

    name: str
    state: ReleaseState
    parent: str | None
    dataset: str | None
    fingerprint: str
    path: str  # the Hugging Face folder, relative to the project's; empty for weights that are served elsewhere
    at: float


class Engine(Protocol):
    """Speaks to the model that answers."""

    def sample(
        self, release: str, prompts: Sequence[Sequence[Message]], params: SamplingParams
    ) -> list[list[Completion]]:
        """``params.n`` completions for each prompt, in order. With a seed, each prompt's completions depend on the
        weights, the seed and the prompt's place in the list alone. Raises EngineError."""
        ...

    def fingerprint(self, release: str) -> str:
        """``sha256:…`` of the tensors in memory, or what the server claims of itself. Raises EngineError."""
        ...


class Verifier(Protocol):
    """Judges one attempt; it may raise, hang or crash: the pool makes a verdict of that."""

    def __call__(self, problem: Problem, attempt_text: str) -> float:
        """A score in [0, 1]."""
        ...


class Progress(Protocol):
    """Told how far a long step is; the command line draws it."""

    def __call__(self, step: str, done: int, total: int) -> None: ...
