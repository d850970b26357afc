"""JSON to values and back, strictly and quickly: by orjson, and by the standard library where orjson would round.

orjson reads an integer of more than 64 bits as a float; fields that nobody here knows must travel untouched, so text
with so long a number takes the slower way. Neither way lets through what JSON does not know: NaN, infinity, half a
surrogate pair, bytes that are not UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

_LONG_NUMBER = re.compile(rb"\d{19}")


def parsed(content: bytes) -> Any:
    """Raises ValueError for what is no JSON, or nests too deeply for either parser."""
    if _LONG_NUMBER.search(content) is None:
        return orjson.loads(content)
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if b"\\ud" in content or b"\\uD" in content:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no text
    return value


def written(value: Any) -> bytes:
    """The text of a value that ``parsed`` gave, or of one made of such."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, allow_nan=False).encode()


def canonical(value: Any) -> bytes:
    """A text that does not depend on the order in which keys were given."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, allow_nan=False, sort_keys=True).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is larger than any number here")
    return number
