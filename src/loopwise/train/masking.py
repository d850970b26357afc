# pyright: basic
"""One conversation → tokens, through the model's own chat template, with the loss on one answer alone.

The answer is what the template renders after the generation prompt: text, tool calls, and the token that ends the
turn. Nothing of the system, people, tool results or earlier answers is learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from loopwise.errors import TrainingError
from loopwise.train.markers import Markers, free_cut

_RENDERING_FAILS = (
    TemplateError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
)  # whatever a template's text does
_ROLES = ("assistant", "developer", "function", "system", "tool", "user")


@dataclass(frozen=True)
class Conversation:
    """Messages in OpenAI's form, tool arguments as objects; ``answer`` is the message that is learned."""

    prompt: list[dict[str, Any]]
    answer: dict[str, Any]
    tools: list[Any] | None = None


@dataclass(frozen=True)
class Masked:
    """Token ids of prompt and answer together; the answer begins at ``start``."""

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Unmaskable:
    """Why a conversation cannot be trained on: ``reason`` is counted, ``detail`` is for the error's sentence. Neither
    holds what people or models wrote."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Masker:
    """Tokenizes conversations for one model. ``end_ids`` are the tokens that end an answer: what the template renders
    after the last of them (often a line end) is never sampled, so it is not learned."""

    tokenizer: PreTrainedTokenizerBase
    end_ids: frozenset[int]
    markers: Markers = field(init=False)

    def __post_init__(self) -> None:
        if self.tokenizer.chat_template is None:
            raise TrainingError(
                "The model's tokenizer has no chat template: add chat_template.jinja to the model folder."
            )
        object.__setattr__(self, "markers", Markers(self.tokenizer))

    def mask(self, conversations: Sequence[Conversation]) -> list[Masked | Unmaskable]:
        """Each conversation as tokens, or why it cannot be, in order."""
        rendered = [self._rendered(conversation) for conversation in conversations]
        good = [pair for pair in rendered if not isinstance(pair, Unmaskable)]
        ids = iter(self._tokenized([pieces for pair in good for pieces in pair]))
        return [pair if isinstance(pair, Unmaskable) else self._masked(next(ids), next(ids)) for pair in rendered]

    def _rendered(self, conversation: Conversation) -> tuple[list[str], list[str]] | Unmaskable:
        """Prompt, and prompt with answer, in pieces that are tokenized apart."""
        chat, tools = [*conversation.prompt, conversation.answer], conversation.tools
        cut = ""
        if marked := self.markers.found([chat, tools]):
            cut = free_cut([chat, tools])
            chat, tools = self.markers.cut([chat, tools], cut)
        try:
            prompt = self._render(chat[:-1], tools, generation_prompt=True)
            whole = self._render(chat, tools, generation_prompt=False)
        except _RENDERING_FAILS as error:
            return Unmaskable("the template refuses it", _refused(conversation, type(error).__name__))
        if not whole.startswith(prompt):
            return _NO_BEGINNING
        lost = _lost(conversation, prompt.replace(cut, ""), whole[len(prompt) :].replace(cut, ""), not marked)
        if lost is not None:
            return lost
        return (self.markers.pieces(prompt, cut), self.markers.pieces(whole, cut)) if cut else ([prompt], [whole])

    def _render(self, chat: list[Any], tools: list[Any] | None, generation_prompt: bool) -> str:
        return self.tokenizer.apply_chat_template(  # pyright: ignore[reportReturnType]
            chat, tools=tools, tokenize=False, add_generation_prompt=generation_prompt
        )

    def _tokenized(self, texts: Sequence[list[str]]) -> list[list[int]]:
        if not texts:
            return []
        flat = [piece for pieces in texts for piece in pieces]
        ids = iter(self.tokenizer(flat, add_special_tokens=False)["input_ids"])
        return [[token for _ in pieces for token in next(ids)] for pieces in texts]

    def _masked(self, prompt: list[int], whole: list[int]) -> Masked | Unmaskable:
        if whole[: len(prompt)] != prompt:
            return _NO_BEGINNING
        end = max((at for at in range(len(prompt), len(whole)) if whole[at] in self.end_ids), default=len(whole) - 1)
        if end < len(prompt) or not prompt:
            return Unmaskable("no answer", "The chat template renders nothing for an answer, or nothing before it.")
        return Masked(tuple(whole[: end + 1]), len(prompt))


_NO_BEGINNING = Unmaskable(
    "prompt is no beginning",
    "The chat template does not render a prompt as the beginning of prompt and answer: the model would be trained on a "
    "context that it never sees when it serves. Use a template whose generation prompt is exactly how an assistant "
    "message begins.",
)


def _refused(conversation: Conversation, error: str) -> str:
    roles = sorted({role if (role := message["role"]) in _ROLES else "another" for message in conversation.prompt})
    tools = ", with tools," if conversation.tools else ""
    return f"The chat template fails ({error}) on a conversation{tools} of the roles {', '.join(roles)}."


def _lost(conversation: Conversation, prompt: str, answer: str, check_results: bool) -> Unmaskable | None:
    """What the template leaves out: tool calls of the answer or of earlier turns, and (where the text is not changed on
    purpose) tool results. The model would be trained on an answer or a context that is not the one it gave or saw."""
    places = [(conversation.answer, answer), *((message, prompt) for message in conversation.prompt)]
    for message, text in places:
        for call in message.get("tool_calls", ()):
            function = call["function"]
            if not all(_shown(value, text) for value in _leaves([function["name"], function["arguments"]])):
                return Unmaskable(
                    "tool calls are lost",
                    "The chat template does not render a tool call with its name and all its arguments: use the "
                    "template of a model that calls tools.",
                )
        if check_results and message["role"] == "tool" and not _shown(message["content"], text):
            return Unmaskable(
                "tool results are lost",
                "The chat template leaves out what a tool answered: use the template of a model that calls tools.",
            )
    return None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value  # an argument's name must be there, too
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _leaves(part)
    elif not isinstance(value, bool) and value is not None:  # templates write those in several ways
        yield value


def _shown(value: Any, text: str) -> bool:
    if not isinstance(value, str):
        return json.dumps(value) in text or str(value) in text
    return any(
        form.strip() in text for form in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    )
