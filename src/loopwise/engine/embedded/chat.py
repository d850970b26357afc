# pyright: basic
"""Text to tokens and back: the tokenizer and chat template of a model folder, without importing transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from loopwise.errors import EngineError
from loopwise.types import Message


class Chat:
    """Renders conversations to token ids and decodes what was sampled. Special tokens never show in decoded text."""

    def __init__(self, folder: Path):
        try:
            tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            template_path = folder / "chat_template.jinja"
            template = template_path.read_text(encoding="utf-8") if template_path.exists() else config["chat_template"]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"The model folder {folder} has no readable tokenizer or chat template: {error}."
            ) from error
        self._tokenizer = _tokenizer(tokenizer, folder)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokens = {name: _token_text(config.get(name)) for name in ("bos_token", "eos_token", "pad_token")}
        # The environment that transformers renders chat templates in, so that both read a template alike.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        environment.globals["raise_exception"] = _raise_template_error
        try:
            self._template = environment.from_string(template)
        except TemplateError as error:
            raise EngineError(f"The chat template of {folder} is no Jinja template: {error}.") from error

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, ready for the assistant's next turn. Raises EngineError (status 400)."""
        try:
            text = self._template.render(messages=list(messages), add_generation_prompt=True, **self._tokens)
        except (TemplateError, TypeError) as error:
            raise EngineError(f"The chat template refuses these messages: {error}.", status=400) from error
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text as it stands, without the template; with what the tokenizer itself puts around a text,
        such as a Llama's first token, as transformers and vLLM have it."""
        return self._tokenizer.encode(text, add_special_tokens=True).ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of sampled tokens. An unfinished character decodes to U+FFFD until its last byte is there."""
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def texts(self, ids_by_row: Sequence[Sequence[int]]) -> list[str]:
        """``text`` for many rows at once."""
        return self._tokenizer.decode_batch(ids_by_row, skip_special_tokens=True)

    def token_text(self, token_id: int) -> str:
        """One token alone, special ones included, as the API's log-probability rows show it."""
        return self._tokenizer.decode([token_id], skip_special_tokens=False)


def _tokenizer(description: dict, folder: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(description))
    except Exception as error:  # the library raises Exception itself, and nothing narrower
        raise EngineError(f"{folder / 'tokenizer.json'} is no tokenizer: {error}.") from error


def _token_text(token: str | dict | None) -> str:
    if isinstance(token, dict):
        return token["content"]
    return token or ""


def _raise_template_error(message: str) -> None:
    raise TemplateError(message)
