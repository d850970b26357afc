# pyright: basic
"""OpenAI's chat completions as they travel: what a request means, and the shapes of answers, chunks and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from loopwise.engine.embedded.sampler import Request, Token
from loopwise.engine.embedded.serving import Started
from loopwise.errors import EngineError
from loopwise.types import JsonObject, SamplingParams

TokenText = Callable[[int], str]


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The fields that the embedded engine reads; null means the default, other fields are ignored."""

    model: str
    messages: Annotated[list[JsonObject], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)] | str | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(le=0)] | None = None  # only the sampled token's own probability is kept

    def params(self) -> SamplingParams:
        """What the sampler needs; without a limit an answer may fill the context."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return SamplingParams(
            n=self.n or 1,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens or 1_000_000,
            seed=self.seed,
            stop=tuple(text for text in stop if text),
            logprobs=bool(self.logprobs),
        )


def parse(body: bytes) -> ChatRequest:
    """A request body. Raises EngineError (status 400) that names the field and what is wrong with it."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise EngineError(f"The request's {name!r} is not valid: {first['msg']}.", status=400) from error
    for message in request.messages:
        message["content"] = _text(message.get("content"))
    return request


def _text(content: Any) -> str:
    """A message's text; lists of text parts are joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    raise EngineError("The request's 'messages' may hold text only: a string or text parts as 'content'.", status=400)


def answer(head: Mapping[str, Any], started: Started, request: Request) -> JsonObject:
    """The whole answer; ``head`` is what every piece repeats: id, created, model, system_fingerprint."""
    choices = []
    for index, completion in enumerate(request.finished):
        logprobs = None
        if completion.logprobs is not None:
            pairs = zip(request.ids[index], completion.logprobs, strict=True)
            logprobs = {"content": [_logprob(token_id, value, started.token_text) for token_id, value in pairs]}
        choices.append(
            {
                "index": index,
                "message": {"role": "assistant", "content": completion.text, "refusal": None},
                "logprobs": logprobs,
                "finish_reason": completion.finish_reason,
            }
        )
    tokens = sum(completion.tokens for completion in request.finished)
    return {**head, "object": "chat.completion", "choices": choices, "usage": usage(started.prompt_tokens, tokens)}


def usage(prompt_tokens: int, completion_tokens: int) -> JsonObject:
    """Token counts; a completion's count includes the token that ended it."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def first_chunk(head: Mapping[str, Any], index: int) -> bytes:
    """The chunk that opens a choice of a stream."""
    return _chunk(head, [_choice(index, {"role": "assistant", "content": ""}, None, None)])


def token_chunk(head: Mapping[str, Any], token: Token, token_text: TokenText | None) -> bytes:
    """One token of a stream; ``token_text`` None leaves log-probabilities out."""
    logprobs = None
    if token_text is not None:
        logprobs = {"content": [_logprob(token.token_id, token.logprob, token_text)]}
    delta = {"content": token.text} if token.text else {}
    return _chunk(head, [_choice(token.choice, delta, logprobs, token.finish_reason)])


def usage_chunk(head: Mapping[str, Any], prompt_tokens: int, completion_tokens: int) -> bytes:
    """The last chunk of a stream that asked for its usage."""
    return _chunk(head, [], usage=usage(prompt_tokens, completion_tokens))


DONE = b"data: [DONE]\n\n"


def _choice(index: int, delta: JsonObject, logprobs: JsonObject | None, finish_reason: str | None) -> JsonObject:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _chunk(head: Mapping[str, Any], choices: Sequence[JsonObject], **more: Any) -> bytes:
    body = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def _logprob(token_id: int, value: float, token_text: TokenText) -> JsonObject:
    text = token_text(token_id)
    whole = "\ufffd" not in text  # else the token is part of a character
    return {"token": text, "logprob": value, "bytes": list(text.encode()) if whole else None, "top_logprobs": []}


def error_body(error: EngineError) -> JsonObject:
    """OpenAI's form of an error."""
    kinds = {404: ("invalid_request_error", "model", "model_not_found"), 400: ("invalid_request_error", None, None)}
    kind, param, code = kinds.get(error.status or 500, ("server_error", None, None))
    return {"error": {"message": str(error), "type": kind, "param": param, "code": code}}
