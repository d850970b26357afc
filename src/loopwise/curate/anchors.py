"""Anchors: human-approved examples that are always mixed in, so that a loop does not drift on its own answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from loopwise.curate.ledger import Ledger
from loopwise.curate.parquet import row_digest
from loopwise.errors import SettingsError
from loopwise.types import Example, Message

ANCHOR_FLOOR = 0.02  # of all rows, whatever the settings say


def load(path: Path) -> list[Example]:
    """Reads JSON lines ``{id?, messages | prompt, completion | reference, source?, segment?}``.

    Raises SettingsError with the line for anything else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The anchors {path} cannot be read ({error}); correct [anchors] path.") from error
    return [
        _example(line, path, number, order)
        for order, (number, line) in enumerate((n, line) for n, line in enumerate(lines, 1) if line.strip())
    ]


def _example(line: str, path: Path, number: int, order: int) -> Example:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise SettingsError(f"{where}: this is no JSON ({error}).") from error
    if not isinstance(row, dict):
        raise SettingsError(f'{where}: an anchor must be an object like {{"prompt": …, "reference": …}}.')
    fields = cast("dict[str, Any]", row)
    answer = fields.get("completion", fields.get("reference"))
    if not isinstance(answer, str):
        raise SettingsError(f"{where}: an anchor needs its right answer as text in 'completion' or 'reference'.")
    return Example(
        messages=_messages(fields, where),
        completion=answer,
        kind="anchor",
        source=str(fields.get("source", path.name)),
        provenance=(str(fields.get("id", f"{path.name}:{number}")),),
        segment=str(fields.get("segment", "")),
        order=order,
    )


def _messages(fields: dict[str, Any], where: str) -> tuple[Message, ...]:
    if isinstance(fields.get("prompt"), str):
        return ({"role": "user", "content": fields["prompt"]},)
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise SettingsError(f"{where}: an anchor needs 'prompt' (text) or 'messages' (a list of role and content).")
    for message in cast("list[Any]", messages):
        if not isinstance(message, dict) or not {"role", "content"} <= cast("dict[str, Any]", message).keys():
            raise SettingsError(f"{where}: the message {message!r} needs 'role' and 'content'.")
    return tuple(cast("list[Message]", messages))


def n_needed(n_others: int, n_anchors: int, share: float) -> int:
    """How many anchor rows make ``share`` of all rows, rounded, and never less than ``ANCHOR_FLOOR`` of them; none
    where there are no anchors, or nothing to mix them with."""
    if not n_others or not n_anchors:
        return 0
    floor = math.ceil(n_others * ANCHOR_FLOOR / (1.0 - ANCHOR_FLOOR) - 1e-9)
    return max(floor, round(n_others * share / (1.0 - share)))


def mix_anchors(
    examples: Iterable[Example], ledger: Ledger, anchors: Sequence[Example], share: float
) -> Iterator[Example]:
    """Adds anchors until they are ``share`` of all rows; always the same ones for the same anchors and number of rows.

    Anchors are taken in the order of a hash of their content, from the start again when there are too few. Those that
    are in ``examples`` already are replaced, so that mixing twice is mixing once; nothing is dropped.
    """
    n_others = 0
    for example in examples:
        if example.kind != "anchor":
            n_others += 1
            yield example
    ordered = sorted(anchors, key=lambda anchor: (row_digest(anchor), anchor.provenance))
    for i in range(n_needed(n_others, len(ordered), share)):
        yield replace(ordered[i % len(ordered)], order=i)
