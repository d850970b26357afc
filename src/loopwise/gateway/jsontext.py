"""JSON to values and back, strictly and quickly: by orjson, and by the standard library where orjson would round.

orjson reads an integer of more than 64 bits as a float; fields that nobody here knows must travel untouched, so text
with so long a number takes the slower way. Neither way lets through what JSON does not know: NaN, infinity, bytes that
are not UTF-8; nor nesting so deep that it could not be written again.

Half a surrogate pair is no text, and requests that hold one are refused. Servers written in JavaScript cut a stream
between the halves of a pair: their chunks are passed on as they are, and the record gets the character.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import orjson

MOST_LEVELS = 500  # the standard library writes twice as many from a shallow stack

T = TypeVar("T")

_LONG_NUMBER = re.compile(rb"\d{19}")
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def parsed(content: bytes) -> Any:
    """Raises ValueError for what is no JSON, holds half a surrogate pair, or nests over ``MOST_LEVELS`` levels deep."""
    if _LONG_NUMBER.search(content) is None:
        return _bounded(orjson.loads(content), content)
    value = _read_slowly(content)
    if _ESCAPED_HALF.search(content) is not None:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def heard_piece(content: bytes) -> Any:
    """A piece of what a model's server streams: as ``parsed``, but half a surrogate pair is let through, since the next
    piece may hold the other. What is recorded of it wants ``storable``."""
    try:
        return parsed(content)
    except ValueError:
        if _ESCAPED_HALF.search(content) is None:
            raise
    return _read_slowly(content)


def heard(content: bytes) -> Any:
    """A whole answer of a model's server: as ``parsed``, but U+FFFD stands where half a surrogate pair stood."""
    try:
        return parsed(content)
    except ValueError:
        return storable(heard_piece(content))


def storable(value: T) -> T:
    """``value``, a text or JSON; where it holds halves of surrogate pairs, with those that meet joined, and U+FFFD for
    those that are alone."""
    try:
        orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
    return value


def written(value: Any) -> bytes:
    """The text of a value that was read here, or of one made of such."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair, over 254 levels
        return json.dumps(value, allow_nan=False).encode()


def canonical(value: Any) -> bytes:
    """A text that does not depend on the order in which keys were given."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, allow_nan=False, sort_keys=True).encode()


def is_deeper(value: Any, levels: int) -> bool:
    """Whether ``value`` nests over ``levels`` lists and objects; without recursion."""
    layer: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        layer = [child for item in layer for child in _children(item) if isinstance(child, dict | list)]
        if not layer:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    return cast(dict[str, Any], value).values() if isinstance(value, dict) else cast(list[Any], value)


def _bounded(value: Any, content: bytes) -> Any:
    if content.count(b"[") + content.count(b"{") > MOST_LEVELS:
        try:
            orjson.dumps(value)  # ten times as fast as a look at the levels, of which it writes 254
        except TypeError:
            if is_deeper(value, MOST_LEVELS):
                raise ValueError(f"it is nested over {MOST_LEVELS} levels deep") from None
    return value


def _read_slowly(content: bytes) -> Any:
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return _bounded(value, content)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is larger than any number here")
    return number
