"""Rewrites the strings within messages and tool calls; a string that holds a JSON document stays one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

Visit = Callable[[str, str], str]  # (text, the key that it stands under in JSON, else "") → the text that replaces it

_STRUCTURE = frozenset({"role", "type", "id", "tool_call_id", "call_id"})  # a message's own words, nobody's text
_LITERAL = re.compile(r'"(?:[^"\\]+|\\.)*"(?P<colon>\s*:)?|-?\d[\d.eE+\-]*')


def rewritten(value: Any, visit: Visit) -> Any:
    """``value`` with every string as ``visit`` returns it; the same object where nothing changed.

    Left alone: roles, ids and types, the names of functions, and ``data:`` URLs, which hold images and sound.
    """
    if isinstance(value, str):
        return value if value.startswith("data:") else _text(value, visit, "")
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[str, Any]", value), visit)
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        changed: list[Any] = [rewritten(item, visit) for item in items]
        if all(new is old for new, old in zip(changed, items, strict=True)):
            return items
        return tuple(changed) if isinstance(items, tuple) else changed
    return value


def _mapping(value: Mapping[str, Any], visit: Visit) -> Mapping[str, Any]:
    function = "arguments" in value or "parameters" in value
    changed: dict[str, Any] = {}
    for key, item in value.items():
        if key in _STRUCTURE or (function and key == "name"):
            changed[key] = item
        elif key == "arguments" and isinstance(item, dict):
            before = json.dumps(item, ensure_ascii=False)
            after = _text(before, visit, "")
            changed[key] = item if after == before else json.loads(after)
        else:
            changed[key] = rewritten(item, visit)
    return value if all(changed[key] is value[key] for key in value) else changed


def _text(text: str, visit: Visit, key: str) -> str:
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return visit(text, key)
        return _document(text, visit, key)
    return visit(text, key)


def _document(text: str, visit: Visit, key: str) -> str:
    """Literal by literal, so that all else keeps its order, spacing and precision."""
    above = key

    def literal(match: re.Match[str]) -> str:
        nonlocal above
        written = match[0]
        if not written.startswith('"'):
            after = visit(written, above)
            return written if after == written else json.dumps(after)
        body = written[: match.start("colon") - match.start()] if match["colon"] else written
        before = cast("str", json.loads(body, strict=False))
        after = visit(before, "") if match["colon"] else _text(before, visit, above)
        if match["colon"]:
            above = before
        if after == before:
            return written
        return json.dumps(after, ensure_ascii=written.isascii()) + written[len(body) :]

    return _LITERAL.sub(literal, text)
