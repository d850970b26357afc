# pyright: basic
"""Continuous batching: rows join and leave one running batch at every step.

A row's draws depend on (seed, row, step) alone, so its result does not depend on what else is in the batch, as far as
float arithmetic allows: matrix products round differently in batches of other sizes, so that once in a great many
tokens a draw that falls on the border between two tokens may go the other way. The same requests in the same order
give the same bytes.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.draws import choose, row_key, uniforms
from loopwise.engine.embedded.model import Cache, Model
from loopwise.errors import EngineError
from loopwise.types import Completion, SamplingParams

PREFILL_TOKENS = 16_384  # bounds the memory of one prefill, padding included


@dataclass(frozen=True)
class Token:
    """One sampled token as a stream sees it. ``text`` is what may be shown now; it is held back while it may yet turn
    out to be the start of a stop string or an unfinished character."""

    choice: int
    token_id: int
    logprob: float
    text: str
    finish_reason: str | None


@dataclass(eq=False)
class Request:
    """A prompt on its way: ``completions`` and ``ids`` fill up, by choice, as its rows finish."""

    prompt_ids: Sequence[int]
    params: SamplingParams
    seed: int
    first_row: int
    on_token: Callable[[Token], None] | None
    on_done: Callable[[Request], None] | None
    admitted: int = 0
    unfinished: int = 0
    completions: list[Completion | None] = field(default_factory=list)
    ids: list[list[int]] = field(default_factory=list)

    @property
    def finished(self) -> list[Completion]:
        """All completions in order, once none is unfinished."""
        return [completion for completion in self.completions if completion is not None]


@dataclass(eq=False)
class _Row:
    request: Request
    choice: int
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    shown: int = 0  # characters already given to the stream


class Sampler:
    """Samples from one model. Confined to one thread; ``step`` until ``idle``."""

    def __init__(self, model: Model, chat: Chat, max_rows: int = 512):
        self._model, self._chat, self._max_rows = model, chat, max_rows
        self._cache = Cache(model.shape)
        self._waiting: deque[Request] = deque()
        self._rows: list[_Row] = []
        self._last_R = np.zeros(max_rows, dtype=np.int64)  # the last token, not yet in the cache
        self._length_R = np.zeros(max_rows, dtype=np.int64)  # positions in the cache
        self._key_R = np.zeros(max_rows, dtype=np.uint64)
        self._step_R = np.zeros(max_rows, dtype=np.int64)
        self._temperature_R = np.zeros(max_rows, dtype=np.float32)
        self._top_p_R = np.ones(max_rows, dtype=np.float32)
        self._state = (self._last_R, self._length_R, self._key_R, self._step_R, self._temperature_R, self._top_p_R)

    @property
    def idle(self) -> bool:
        """Whether nothing is running or waiting."""
        return not self._rows and not self._waiting

    @property
    def rows(self) -> int:
        """How many rows are running."""
        return len(self._rows)

    def add(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        first_row: int = 0,
        on_token: Callable[[Token], None] | None = None,
        on_done: Callable[[Request], None] | None = None,
    ) -> Request:
        """Queues ``params.n`` completions of one prompt; choice i draws from row ``first_row + i`` of the seed.

        Raises EngineError (status 400) for a prompt that leaves no room in the context or is not of this vocabulary.
        """
        context, vocabulary = self._model.shape.context, self._model.shape.vocabulary
        if not 0 < len(prompt_ids) < context:
            raise EngineError(
                f"The prompt has {len(prompt_ids)} tokens; this model takes 1 to {context - 1}. Change its length.",
                status=400,
            )
        outside = next((token_id for token_id in prompt_ids if not 0 <= token_id < vocabulary), None)
        if outside is not None:
            raise EngineError(
                f"The prompt has the token id {outside}; this model's are 0 to {vocabulary - 1}. Tokenize the text "
                "with its own tokenizer, or send the text.",
                status=400,
            )
        seed = secrets.randbits(63) if params.seed is None else params.seed
        request = Request(prompt_ids, params, seed, first_row, on_token, on_done, unfinished=params.n)
        request.completions = [None] * params.n
        request.ids = [[] for _ in range(params.n)]
        self._waiting.append(request)
        return request

    @torch.inference_mode()
    def cancel(self, request: Request) -> None:
        """Drops a request and its rows; its callbacks are not called again."""
        if request in self._waiting:
            self._waiting.remove(request)
        self._remove([i for i, row in enumerate(self._rows) if row.request is request])

    @torch.inference_mode()
    def step(self) -> None:
        """Admits what fits, then gives every running row one more token."""
        if self._waiting and len(self._rows) < self._max_rows:
            self._admit()
        if self._rows:
            active = len(self._rows)
            longest = int(self._length_R[:active].max())
            self._cache.reserve(active, longest + 1)
            last_R, length_R = torch.from_numpy(self._last_R[:active]), torch.from_numpy(self._length_R[:active])
            logits_RV = self._model.decode(last_R, length_R, longest, self._cache)
            self._length_R[:active] += 1
            self._sample(logits_RV, 0)

    def _admit(self) -> None:
        base = len(self._rows)
        admitted: list[Request] = []
        source: list[int] = []
        longest = 0
        while self._waiting and len(self._rows) < self._max_rows:
            request = self._waiting[0]
            longest = max(longest, len(request.prompt_ids))
            if admitted and longest * (len(admitted) + 1) > PREFILL_TOKENS:
                break
            taken = min(request.params.n - request.admitted, self._max_rows - len(self._rows))
            for choice in range(request.admitted, request.admitted + taken):
                self._place(_Row(request, choice))
            source += [base + len(admitted)] * taken
            admitted.append(request)
            request.admitted += taken
            if request.admitted == request.params.n:
                self._waiting.popleft()
        logits_PV = self._prefill([request.prompt_ids for request in admitted], base, len(self._rows))
        source_N = torch.tensor(source)
        if len(source) > len(admitted):
            longest = max(len(request.prompt_ids) for request in admitted)
            self._cache.copy_rows(source_N, torch.arange(base, base + len(source)), longest)
        self._sample(logits_PV[source_N - base], base)

    def _prefill(self, prompts: list[Sequence[int]], base: int, rows: int) -> torch.Tensor:
        length_P = torch.tensor([len(ids) for ids in prompts])
        longest = int(length_P.max())
        ids_PT = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prompts])
        self._cache.reserve(rows, longest)
        return self._model.prefill(ids_PT, length_P, self._cache, base)

    def _place(self, row: _Row) -> None:
        at, request = len(self._rows), row.request
        self._rows.append(row)
        self._length_R[at] = len(request.prompt_ids)
        self._key_R[at] = row_key(request.seed, request.first_row + row.choice)
        self._step_R[at] = 0
        self._temperature_R[at] = request.params.temperature
        self._top_p_R[at] = request.params.top_p

    def _sample(self, logits_NV: torch.Tensor, base: int) -> None:
        """Draws one token for each row from ``base`` on, and lets finished rows go."""
        rows = slice(base, base + len(logits_NV))
        uniform_N = torch.from_numpy(uniforms(self._key_R[rows], self._step_R[rows]))
        top_p_N = torch.from_numpy(self._top_p_R[rows]) if (self._top_p_R[rows] < 1).any() else None
        ids_N, logprobs_N = choose(logits_NV, torch.from_numpy(self._temperature_R[rows]), top_p_N, uniform_N)
        self._last_R[rows] = ids_N.numpy()
        self._step_R[rows] += 1
        finished: list[tuple[int, str]] = []
        for at, token_id, logprob in zip(
            range(base, len(self._rows)), ids_N.tolist(), logprobs_N.tolist(), strict=True
        ):
            row = self._rows[at]
            row.ids.append(token_id)
            row.logprobs.append(logprob)
            reason = self._finish_reason(row, token_id)
            if row.request.on_token is not None:
                row.request.on_token(self._token(row, reason))
            if reason is not None:
                finished.append((at, reason))
        if finished:
            self._finish(finished)

    def _finish_reason(self, row: _Row, token_id: int) -> str | None:
        request = row.request
        if token_id in self._model.end_ids:
            return "stop"
        if request.params.stop and _first_stop(self._chat.text(row.ids), request.params.stop) is not None:
            return "stop"
        full = len(request.prompt_ids) + len(row.ids) >= self._model.shape.context
        return "length" if full or len(row.ids) >= request.params.max_tokens else None

    def _token(self, row: _Row, reason: str | None) -> Token:
        text = self._chat.text(row.ids)
        stops = row.request.params.stop
        text = text[: _safe_length(text, stops) if reason is None else _first_stop(text, stops)]
        new, row.shown = text[row.shown :], max(row.shown, len(text))
        return Token(row.choice, row.ids[-1], row.logprobs[-1], new, reason)

    def _finish(self, finished: list[tuple[int, str]]) -> None:
        texts = self._chat.texts([self._rows[at].ids for at, _ in finished])
        done: list[tuple[Callable[[Request], None], Request]] = []
        for (at, reason), text in zip(finished, texts, strict=True):
            row = self._rows[at]
            request = row.request
            logprobs = tuple(row.logprobs) if request.params.logprobs else None
            cut = text[: _first_stop(text, request.params.stop)]
            request.completions[row.choice] = Completion(cut, reason, len(row.ids), logprobs)
            request.ids[row.choice] = row.ids
            request.unfinished -= 1
            if request.unfinished == 0 and request.on_done is not None:
                done.append((request.on_done, request))
        self._remove([at for at, _ in finished])
        for on_done, request in done:
            on_done(request)

    def _remove(self, gone: list[int]) -> None:
        """Fills the places of rows that go with rows from the end, so that running rows stay in front."""
        kept = len(self._rows) - len(gone)
        leaving = set(gone)
        holes = [at for at in gone if at < kept]
        movers = [at for at in range(kept, len(self._rows)) if at not in leaving]
        if holes:
            for values_R in self._state:
                values_R[holes] = values_R[movers]
            self._cache.copy_rows(torch.tensor(movers), torch.tensor(holes), int(self._length_R[holes].max()))
            for hole, mover in zip(holes, movers, strict=True):
                self._rows[hole] = self._rows[mover]
        del self._rows[kept:]


def sample_all(
    sampler: Sampler, prompts: Sequence[Sequence[int]], params: SamplingParams, first_prompt: int = 0
) -> list[list[Completion]]:
    """``params.n`` completions for each prompt, in order; prompt i draws from rows ``(first_prompt + i) * n`` on."""
    requests = [sampler.add(ids, params, (first_prompt + i) * params.n) for i, ids in enumerate(prompts)]
    while not sampler.idle:
        sampler.step()
    return [request.finished for request in requests]


def _first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the earliest stop string begins."""
    return min((at for at in (text.find(stop) for stop in stops) if at >= 0), default=None)


def _safe_length(text: str, stops: Sequence[str]) -> int:
    """How much of an unfinished text can no longer become part of a stop string or of an unfinished character."""
    safe = len(text.rstrip("\ufffd"))
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:length]):
                safe = min(safe, len(text) - length)
                break
    return safe
