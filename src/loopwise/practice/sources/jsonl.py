"""Problems from a JSON Lines file: rows ``{id, messages | prompt, reference, verifier?, segment?, metadata?}``."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from loopwise.errors import SettingsError
from loopwise.practice.sources.splits import in_split, problem_key
from loopwise.types import Message, Problem

FIELDS = ("id", "messages", "prompt", "reference", "verifier", "segment", "metadata")
DEFAULT_VERIFIER = "exact"


def problems(spec: str, seed: int, split: str) -> Iterator[Problem]:
    """The file's problems of ``split``, each once, in an order drawn by ``seed``. Raises SettingsError."""
    rows = [problem for problem in read(spec) if in_split(problem.key, split)]
    random.Random(seed).shuffle(rows)
    return iter(rows)


def read(spec: str) -> list[Problem]:
    """Every problem of the file, the first of equals. Raises SettingsError, with the line's number."""
    path = Path(spec)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The problems in {spec!r} cannot be read ({error}); check the path.") from error
    found: dict[str, Problem] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            problem = _problem(spec, line, f"{spec}, line {number}")
            found.setdefault(problem.key, problem)
    return list(found.values())


def _problem(spec: str, line: str, where: str) -> Problem:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SettingsError(f"{where}: this is no JSON ({error}).") from error
    if not isinstance(row, dict):
        raise SettingsError(f'{where}: a row must be an object like {{"id": …, "prompt": …, "reference": …}}.')
    fields = cast("dict[str, Any]", row)
    unknown = sorted(fields.keys() - set(FIELDS))
    if unknown:
        raise SettingsError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(FIELDS)}.")
    for name in ("id", "prompt", "reference", "verifier", "segment"):
        if name in fields and not isinstance(fields[name], str):
            raise SettingsError(f"{where}: {name!r} is {fields[name]!r}; it must be text.")
    if "id" not in fields:
        raise SettingsError(f"{where}: the row has no 'id'; give each problem one.")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise SettingsError(f"{where}: 'metadata' is {metadata!r}; it must be an object.")
    messages = _messages(fields, where)
    return Problem(
        key=problem_key(messages),
        source=spec,
        messages=messages,
        reference=fields.get("reference"),
        verifier=fields.get("verifier", DEFAULT_VERIFIER),
        segment=fields.get("segment", ""),
        metadata={**cast("dict[str, Any]", metadata), "id": fields["id"]},
    )


def _messages(fields: dict[str, Any], where: str) -> tuple[Message, ...]:
    if ("messages" in fields) == ("prompt" in fields):
        raise SettingsError(f"{where}: a row needs either 'messages' or 'prompt'.")
    if "prompt" in fields:
        return ({"role": "user", "content": fields["prompt"]},)
    messages = fields["messages"]
    if not isinstance(messages, list) or not messages:
        raise SettingsError(f'{where}: \'messages\' must be a list of {{"role", "content"}}.')
    for message in cast("list[Any]", messages):
        if not isinstance(message, dict) or not {"role", "content"} <= cast("dict[str, Any]", message).keys():
            raise SettingsError(f"{where}: the message {message!r} needs 'role' and 'content'.")
    return tuple(cast("list[Message]", messages))
