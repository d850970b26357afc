"""Any server that speaks OpenAI's chat API: the embedded engine's own process, vLLM, or a remote one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence

import aiohttp
from pydantic import BaseModel, ValidationError

from loopwise.errors import EngineError
from loopwise.types import Completion, JsonObject, Message, SamplingParams

_SHOWN = 300  # characters of a server's refusal that a message quotes


class OpenAIEngine:
    """Implements ``types.Engine`` over HTTP. ``url`` may end in ``/v1``; a release is the ``model`` asked for.

    ``concurrency`` requests run at once over pooled connections; ``timeout_s`` bounds each. Each call runs its own
    event loop, so it may come from any thread that runs none. Where a server tells only the tokens of all n answers
    together, each answer's ``tokens`` is its even share. Not covered: retries, and servers that refuse n > 1.
    """

    def __init__(self, url: str, api_key: str | None = None, concurrency: int = 32, timeout_s: float = 60.0):
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._concurrency = concurrency
        self._timeout_s = timeout_s

    def sample(
        self, release: str, prompts: Sequence[Sequence[Message]], params: SamplingParams
    ) -> list[list[Completion]]:
        """``params.n`` completions for each prompt, in order. Raises EngineError at the first request that fails."""
        bodies = [_body(release, prompt, params, place) for place, prompt in enumerate(prompts)]
        return [_completions(answer, params, self._url) for answer in asyncio.run(self._ask_all(bodies))]

    def fingerprint(self, release: str) -> str:
        """What the server claims of itself in an answer by ``release``. Raises EngineError."""
        params = SamplingParams(temperature=0.0, max_tokens=1)
        [answer] = asyncio.run(self._ask_all([_body(release, [{"role": "user", "content": "?"}], params, 0)]))
        return claimed_fingerprint(answer.system_fingerprint, answer.model or release)

    async def _ask_all(self, bodies: Sequence[JsonObject]) -> list[_Answer]:
        answers: dict[int, _Answer] = {}
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        waiting = iter(enumerate(bodies))  # shared by the workers: whoever is free takes the next
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers) as session:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self._concurrency, len(bodies))):
                        workers.create_task(self._work(session, waiting, answers))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
        return [answers[place] for place in range(len(bodies))]

    async def _work(
        self, session: aiohttp.ClientSession, waiting: Iterator[tuple[int, JsonObject]], answers: dict[int, _Answer]
    ) -> None:
        for place, body in waiting:
            answers[place] = await self._ask(session, body)

    async def _ask(self, session: aiohttp.ClientSession, body: JsonObject) -> _Answer:
        try:
            async with session.post(endpoint(self._url, "chat/completions"), json=body) as response:
                content = await response.read()
        except TimeoutError as error:
            raise EngineError(
                f"The model's server at {self._url} did not answer within {self._timeout_s:g} s: "
                "see whether it is overloaded, or ask for fewer tokens."
            ) from error
        except aiohttp.ClientError as error:
            raise EngineError(unreachable(self._url, error)) from error
        if response.status != 200:
            raise EngineError(
                f"The model's server at {self._url} refused with status {response.status}: {refusal(content).message}",
                response.status,
            )
        try:
            return _Answer.model_validate_json(content)
        except ValidationError as error:
            raise EngineError(
                f"The model's server at {self._url} did not answer in OpenAI's form: {content[:_SHOWN]!r}."
            ) from error


def endpoint(url: str, path: str) -> str:
    """The address of ``path`` under the server's ``/v1``, whether or not ``url`` has it."""
    return f"{url.rstrip('/').removesuffix('/v1')}/v1/{path}"


def claimed_fingerprint(claim: str | None, model: str) -> str:
    """``sha256:…`` as it is; anything else is only what the server says of itself: ``upstream:<claim or model>``."""
    return claim if claim and claim.startswith("sha256:") else f"upstream:{claim or model}"


class Refused(BaseModel):
    """What a server's error body says."""

    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None  # vLLM repeats the status here


def refused(content: bytes) -> Refused | None:
    """OpenAI's ``error`` in an answer; None where there is none."""
    try:
        return _Refusal.model_validate_json(content).error
    except ValidationError:
        return None


def refusal(content: bytes) -> Refused:
    """What an error's body says: OpenAI's ``error`` where it is there, else the body's beginning as the message."""
    shown = content[:_SHOWN].decode("utf-8", "replace") or "it gave no reason."
    return refused(content) or Refused(message=shown)


def unreachable(url: str, error: Exception | str, section: str = "[engine]") -> str:
    """The one sentence that says that the model's server is not there; ``section`` is where the settings name it."""
    return f"The model's server at {url} cannot be reached ({error}): start it, or correct {section} url."


def prompt_seed(seed: int, place: int) -> int:
    """A seed for the prompt at ``place``: a hash, so that neighboring seeds share nothing; 31 bits, which all take."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{place}".encode()).digest()[:4], "big") >> 1


def _body(release: str, prompt: Sequence[Message], params: SamplingParams, place: int) -> JsonObject:
    body: JsonObject = {
        "model": release,
        "messages": [dict(message) for message in prompt],
        "n": params.n,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "max_tokens": params.max_tokens,
    }
    if params.seed is not None:
        body["seed"] = prompt_seed(params.seed, place)
    if params.stop:
        body["stop"] = list(params.stop)
    if params.logprobs:
        body["logprobs"] = True
    return body


def _completions(answer: _Answer, params: SamplingParams, url: str) -> list[Completion]:
    if len(answer.choices) != params.n:
        raise EngineError(
            f"The model's server at {url} gave {len(answer.choices)} answers where n = {params.n} were asked for: "
            "it does not support n; ask once for each."
        )
    share = answer.usage.completion_tokens // params.n if answer.usage else 0
    return [
        _completion(choice, share, params, url) for choice in sorted(answer.choices, key=lambda choice: choice.index)
    ]


def _completion(choice: _Choice, share: int, params: SamplingParams, url: str) -> Completion:
    text = choice.message.content or ""
    finish_reason = choice.finish_reason or "stop"
    if not params.logprobs:
        return Completion(text, finish_reason, share)
    if choice.logprobs is None or choice.logprobs.content is None:
        raise EngineError(f"The model's server at {url} gave no log-probabilities though they were asked for.")
    logprobs = tuple(token.logprob for token in choice.logprobs.content)
    return Completion(text, finish_reason, len(logprobs), logprobs)


class _Message(BaseModel):
    content: str | None = None


class _Token(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    index: int = 0
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    completion_tokens: int = 0


class _Answer(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    model: str | None = None


class _Refusal(BaseModel):
    error: Refused
