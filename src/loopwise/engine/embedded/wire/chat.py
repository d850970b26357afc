# pyright: basic
"""``POST /v1/chat/completions``: OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.serving import Started
from loopwise.engine.embedded.wire.answer import Answer
from loopwise.engine.embedded.wire.asked import Asked
from loopwise.types import JsonObject, SamplingParams


class ChatRequest(Asked):
    messages: Annotated[list[JsonObject], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(le=0)] | None = None  # only the sampled token's own probability is kept

    @field_validator("messages")
    @classmethod
    def _texts(cls, messages: list[JsonObject]) -> list[JsonObject]:
        return [{**message, "content": _text(message.get("content"))} for message in messages]

    def prompts(self, chat: Chat) -> list[list[int]]:
        return [chat.prompt_ids(self.messages)]

    def params(self) -> SamplingParams:
        """Without a limit an answer may fill the context."""
        return self._params(self.max_completion_tokens or self.max_tokens or 1_000_000, bool(self.logprobs))

    def answer(self, started: Started) -> Answer:
        return ChatAnswer(self.model, started, bool(self.logprobs))


class ChatAnswer(Answer):
    """A choice is a message; that of a stream is what is added to it."""

    id_prefix = "chatcmpl-"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def _said(self, text: str) -> JsonObject:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}

    def _added(self, text: str) -> JsonObject:
        return {"delta": {"content": text} if text else {}}

    def _opening(self) -> JsonObject:
        return {"delta": {"role": "assistant", "content": ""}}

    def _logprobs(self, choice: int, ids: Sequence[int], values: Sequence[float]) -> JsonObject:
        return {"content": [self._logprob(token_id, value) for token_id, value in zip(ids, values, strict=True)]}

    def _logprob(self, token_id: int, value: float) -> JsonObject:
        text = self._started.chat.token_text(token_id)
        whole = "\ufffd" not in text  # else the token is part of a character
        return {"token": text, "logprob": value, "bytes": list(text.encode()) if whole else None, "top_logprobs": []}


def _text(content: Any) -> str:
    """A message's text; lists of text parts are joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    raise PydanticCustomError("text", "they may hold text only: a string or text parts as 'content'")
