# pyright: basic
"""``POST /v1/completions``: OpenAI's legacy completions of raw text, without roles or a chat template.

Not covered, and refused: ``echo``, ``suffix``, ``best_of`` above ``n``, and the likeliest alternatives of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import StrictInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from loopwise.engine.embedded.chat import Chat
from loopwise.engine.embedded.serving import Started
from loopwise.engine.embedded.wire.answer import Answer
from loopwise.engine.embedded.wire.asked import Asked
from loopwise.types import JsonObject, SamplingParams

MAX_CHOICES = 2048  # prompts times n: each is kept until the last is done
DEFAULT_MAX_TOKENS = 16  # OpenAI's


class CompletionRequest(Asked):
    prompt: list[str | list[int]]
    logprobs: StrictInt | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None

    @field_validator("prompt", mode="plain")
    @classmethod
    def _prompts(cls, prompt: Any, info: ValidationInfo) -> list[str | list[int]]:
        """One list of prompts, whichever of the four forms they come in."""
        if isinstance(prompt, str) or _is_ids(prompt):
            prompt = [prompt]
        if not isinstance(prompt, list) or not (
            all(isinstance(one, str) for one in prompt) or all(map(_is_ids, prompt))
        ):
            sentence = "it must be a text, a list of texts, a list of token ids or a list of such lists"
            raise PydanticCustomError("prompt", sentence)
        choices = len(prompt) * (info.data.get("n") or 1)
        if not 0 < choices <= MAX_CHOICES:
            sentence = (
                "it makes {choices} choices, and 1 to {most} are answered at once: send fewer prompts or a lower n"
            )
            raise PydanticCustomError("prompt", sentence, {"choices": choices, "most": MAX_CHOICES})
        return prompt

    @field_validator("logprobs")
    @classmethod
    def _own_probability(cls, logprobs: int | None) -> int | None:
        if logprobs is not None and logprobs != 0:
            sentence = "it is {logprobs}, and only the sampled token's own probability is kept: send 0"
            raise PydanticCustomError("logprobs", sentence, {"logprobs": logprobs})
        return logprobs

    @field_validator("echo", "suffix")
    @classmethod
    def _nothing(cls, value: bool | str | None) -> bool | str | None:
        if value:
            raise PydanticCustomError("unsupported", "the embedded model continues a prompt and no more: leave it out")
        return value

    @field_validator("best_of")
    @classmethod
    def _all_of(cls, best_of: int | None, info: ValidationInfo) -> int | None:
        n = info.data.get("n") or 1
        if best_of is not None and best_of != n:
            sentence = "it is {best_of} and n is {n}, and all that is sampled is returned: ask for n alone"
            raise PydanticCustomError("best_of", sentence, {"best_of": best_of, "n": n})
        return best_of

    def prompts(self, chat: Chat) -> list[list[int]]:
        return [chat.text_ids(prompt) if isinstance(prompt, str) else prompt for prompt in self.prompt]

    def params(self) -> SamplingParams:
        return self._params(self.max_tokens or DEFAULT_MAX_TOKENS, self.logprobs is not None)

    def answer(self, started: Started) -> Answer:
        return CompletionAnswer(self.model, started, self.logprobs is not None)


class CompletionAnswer(Answer):
    """A choice is a text, in a stream as well."""

    id_prefix = "cmpl-"
    whole_object = "text_completion"
    chunk_object = "text_completion"

    def __init__(self, model: str, started: Started, with_logprobs: bool):
        super().__init__(model, started, with_logprobs)
        self._offsets = [_Offsets(started.chat.text) for _ in range(started.choices)]

    def _said(self, text: str) -> JsonObject:
        return {"text": text}

    _added = _said

    def _opening(self) -> None:
        return None

    def _logprobs(self, choice: int, ids: Sequence[int], values: Sequence[float]) -> JsonObject:
        offsets = self._offsets[choice]
        return {
            "tokens": [self._started.chat.token_text(token_id) for token_id in ids],
            "token_logprobs": list(values),
            "top_logprobs": None,
            "text_offset": [offsets.of_next(token_id) for token_id in ids],
        }


class _Offsets:
    """At which character of a choice's text its tokens begin, token by token. All tokens of one character begin with
    it; those of a stop string lie beyond the text, which is cut before them."""

    def __init__(self, text: Callable[[Sequence[int]], str]):
        self._text = text
        self._settled = 0  # characters that can no longer change
        self._open: list[int] = []  # the tokens after them
        self._shown = ""  # the text of those: empty, or it ends with U+FFFD

    def of_next(self, token_id: int) -> int:
        """Where this token begins, given all before it."""
        before = self._shown
        self._open.append(token_id)
        after = self._text(self._open)
        begins_anew = len(after) > len(before) and after.startswith(before)  # else it goes on with the last character
        at = self._settled + len(before if begins_anew else before.removesuffix("\ufffd"))
        self._shown = after
        if not after.endswith("\ufffd"):
            self._settled += len(after)
            self._open, self._shown = [], ""
        return at


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int for one in value)
