# pyright: basic
"""What every call that samples may ask for, and what is said of a request that means nothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.serving import Started
from loopwise.engine.embedded.wire.answer import Answer
from loopwise.errors import EngineError
from loopwise.types import SamplingParams


class StreamOptions(BaseModel):
    include_usage: bool = False


class Asked(BaseModel):
    """The fields that all calls share; null means the default, fields that no call knows are ignored."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)] | str | None = None
    seed: int | None = None

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @abstractmethod
    def prompts(self, chat: Chat) -> list[list[int]]:
        """Token ids of each prompt. Raises EngineError (status 400)."""

    @abstractmethod
    def params(self) -> SamplingParams:
        """How each prompt is sampled."""

    @abstractmethod
    def answer(self, started: Started) -> Answer:
        """The answer that this call takes."""

    def _params(self, max_tokens: int, logprobs: bool) -> SamplingParams:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return SamplingParams(
            n=self.n or 1,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            max_tokens=max_tokens,
            seed=self.seed,
            stop=tuple(text for text in stop if text),
            logprobs=logprobs,
        )


Kind = TypeVar("Kind", bound=Asked)


def parse(kind: type[Kind], body: bytes) -> Kind:
    """A request body. Raises EngineError (status 400) that names the field and what is wrong with it."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "body"
        raise EngineError(f"The request's {name!r} is not valid: {first['msg']}.", status=400) from error
