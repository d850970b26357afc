"""Server-sent events, however their bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from loopwise.gateway.sse import LONGEST_EVENT_BYTES, LONGEST_STREAM_BYTES, events


def parsed(pieces: list[bytes]) -> list[bytes]:
    async def read() -> list[bytes]:
        async def stream() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [event.data async for batch in events(stream()) for event in batch]

    return asyncio.run(read())


@given(st.lists(st.integers(0, 70), max_size=6))
def test_events_do_not_depend_on_where_the_bytes_are_cut(cuts: list[int]):
    content = b": note\r\n\r\ndata: one\r\n\r\nevent: x\r\ndata:two\r\ndata: more\r\n\r\ndata: \xc3\xa9\n\n"
    marks = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(marks)]
    assert parsed(pieces) == [b"one", b"two\nmore", "é".encode()]


def test_an_event_without_end_is_refused():
    with pytest.raises(ValueError, match="an event of over"):
        parsed([b"data: " + b"x" * LONGEST_EVENT_BYTES])
    with pytest.raises(ValueError, match="an event of over"):
        parsed([b"data: " + b"x" * 1_000_000 + b"\n"] * (LONGEST_EVENT_BYTES // 1_000_000 + 1))


def test_an_event_of_empty_lines_without_end_is_refused():
    with pytest.raises(ValueError, match="an event of over"):
        parsed([b"data:\n" * 100_000] * 40)  # 24 MB


def test_a_stream_without_end_is_refused_whatever_it_holds():
    piece = b"x" * 992_000
    for line in (b"data: %s\n\n" % piece, b": %s\n\n" % piece):
        whole = LONGEST_STREAM_BYTES // len(line)
        assert len(parsed([line] * whole)) == (whole if line.startswith(b"data") else 0)
        with pytest.raises(ValueError, match="an answer of over 64,000,000 bytes"):
            parsed([line] * (whole + 1))
