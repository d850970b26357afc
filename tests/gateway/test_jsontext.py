"""JSON text: what goes in comes out, and what is no JSON is refused by either way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from loopwise.gateway.jsontext import parsed, written

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(values)
def test_what_the_standard_library_writes_is_read_alike_and_written_again(value: Any):
    read = parsed(json.dumps(value).encode())
    again = json.loads(written(read))
    assert (read, again) == (value, value)
    assert json.dumps(again) == json.dumps(value)  # 1 stays 1 and 1.0 stays 1.0


@pytest.mark.parametrize("long", ["", ', "n": 12345678901234567890123'])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "1 2", "'a'", "[" * 3_000])
def test_what_is_no_json_is_refused_whichever_way_it_goes(text: str, long: str):
    with pytest.raises(ValueError, match=r"."):
        parsed(f'{{"a": {text}{long}}}'.encode())


def test_bytes_that_are_no_text_are_refused():
    for content in (b'{"a": "\xff"}', b'{"a": "\xff", "n": 12345678901234567890123}', b""):
        with pytest.raises(ValueError, match=r"."):
            parsed(content)
