"""JSON text: what goes in comes out, and what is no JSON is refused by either way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from loopwise.gateway.jsontext import MOST_LEVELS, heard, heard_piece, parsed, storable, written

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


@pytest.mark.parametrize("read", [parsed, heard, heard_piece])
@pytest.mark.parametrize("leaf", ["1", str(10**22), '"\\ud83d\\ude00"'])
def test_what_is_read_can_be_written_however_deep_it_is(read: Callable[[bytes], Any], leaf: str):
    for opened, closed in (("[", "]"), ('{"a": ', "}")):
        deepest = (opened * MOST_LEVELS + leaf + closed * MOST_LEVELS).encode()
        value = read(deepest)
        assert json.loads(written(value)) == json.loads(deepest)
        assert storable(value) == value
        with pytest.raises(ValueError, match=r"nested over 500 levels deep"):
            read(opened.encode() + deepest + closed.encode())


def test_what_is_wide_is_not_deep():
    assert len(parsed(b"[" + b"[[]]," * 5_000 + b"[]]")) == 5_001


@pytest.mark.parametrize("long", ["", ', "n": 12345678901234567890123'])
def test_half_a_pair_of_a_servers_is_text_that_can_be_written_and_is_mended_where_it_is_kept(long: str):
    content = f'{{"a\\udc00": ["\\ud83d", "\\ude00b", "\\ud83d\\ude00", "é"]{long}}}'.encode()
    piece = heard_piece(content)
    assert piece["a\udc00"] == ["\ud83d", "\ude00b", "\U0001f600", "é"]
    assert json.loads(written(piece)) == json.loads(content)
    whole = heard(content)
    assert whole == storable(piece)
    assert whole["a\ufffd"] == ["\ufffd", "\ufffdb", "\U0001f600", "é"]
    assert whole.get("n") == json.loads(content).get("n")
    assert storable(piece["a\udc00"][0] + piece["a\udc00"][1]) == "\U0001f600b"
    with pytest.raises(ValueError, match=r"."):
        parsed(content)


@pytest.mark.parametrize("read", [heard, heard_piece])
@pytest.mark.parametrize("content", ['{"a": "\\ud800", "b": NaN}', '["\\ud800"', '"\\ud800" 1', "", "NaN"])
def test_a_server_that_sends_half_a_pair_still_has_to_send_json(read: Callable[[bytes], Any], content: str):
    with pytest.raises(ValueError, match=r"."):
        read(content.encode())
