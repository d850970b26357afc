# pyright: basic
"""What the answers of all calls have in common, whole or as a stream: head, numbered choices, usage; and errors."""

from __future__ import annotations

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from loopwise.engine.embedded.sampler import Request, Token
from loopwise.engine.embedded.serving import Started
from loopwise.errors import EngineError
from loopwise.types import JsonObject

DONE = b"data: [DONE]\n\n"


class Answer(ABC):
    """One answer on its way. Each call has its own shape of what a choice says and of its log-probabilities."""

    id_prefix: ClassVar[str]
    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def __init__(self, model: str, started: Started, with_logprobs: bool):
        self._started, self._with_logprobs = started, with_logprobs
        self._head = {
            "id": f"{self.id_prefix}{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": started.fingerprint,
        }

    def whole(self, requests: Sequence[Request]) -> JsonObject:
        """The whole answer; choices are numbered through, prompt by prompt."""
        choices: list[JsonObject] = []
        tokens = 0
        for request in requests:
            for completion, ids in zip(request.finished, request.ids, strict=True):
                index, said = len(choices), self._said(completion.text)
                choices.append(self._choice(index, said, ids, completion.logprobs or (), completion.finish_reason))
                tokens += completion.tokens
        return {**self._head, "object": self.whole_object, "choices": choices, "usage": self._usage(tokens)}

    def opening_chunks(self) -> list[bytes]:
        """What a stream begins with, before any token."""
        opening = self._opening()
        if opening is None:
            return []
        return [self._chunk([_row(index, opening, None, None)]) for index in range(self._started.choices)]

    def token_chunk(self, token: Token) -> bytes:
        """One token of a stream. To be called once for each token, in order."""
        said = self._added(token.text)
        return self._chunk([self._choice(token.choice, said, [token.token_id], [token.logprob], token.finish_reason)])

    def usage_chunk(self, completion_tokens: int) -> bytes:
        """The last chunk of a stream that asked for its usage."""
        return self._chunk([], usage=self._usage(completion_tokens))

    @abstractmethod
    def _said(self, text: str) -> JsonObject:
        """The part of a whole answer's choice that holds its text."""

    @abstractmethod
    def _added(self, text: str) -> JsonObject:
        """The part of a streamed choice that holds the text one token adds."""

    @abstractmethod
    def _opening(self) -> JsonObject | None:
        """The part of a streamed choice that comes before its tokens; None: nothing does."""

    @abstractmethod
    def _logprobs(self, choice: int, ids: Sequence[int], values: Sequence[float]) -> JsonObject:
        """The log-probabilities of a choice's next tokens."""

    def _choice(
        self, index: int, said: JsonObject, ids: Sequence[int], values: Sequence[float], finish_reason: str | None
    ) -> JsonObject:
        return _row(index, said, self._logprobs(index, ids, values) if self._with_logprobs else None, finish_reason)

    def _chunk(self, choices: Sequence[JsonObject], **more: Any) -> bytes:
        body = {**self._head, "object": self.chunk_object, "choices": choices, **more}
        return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"

    def _usage(self, completion_tokens: int) -> JsonObject:
        """Token counts; a completion's count includes the token that ended it."""
        prompt_tokens = self._started.prompt_tokens
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }


def error_body(error: EngineError) -> JsonObject:
    """OpenAI's form of an error."""
    kinds = {404: ("invalid_request_error", "model", "model_not_found"), 400: ("invalid_request_error", None, None)}
    kind, param, code = kinds.get(error.status or 500, ("server_error", None, None))
    return {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


def _row(index: int, said: JsonObject, logprobs: JsonObject | None, finish_reason: str | None) -> JsonObject:
    return {"index": index, **said, "logprobs": logprobs, "finish_reason": finish_reason}
