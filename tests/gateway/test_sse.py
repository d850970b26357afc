"""The event parser and the assembly of chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loopwise.gateway.sse import LONGEST_EVENT_BYTES, Assembly, events


def parsed(pieces: list[bytes]) -> list[bytes]:
    async def read() -> list[bytes]:
        async def stream() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [data async for data in events(stream())]

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


def called(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


def test_tool_calls_reasoning_and_logprobs_are_put_together():
    assembly = Assembly()
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "reasoning": "let "},
        {"reasoning": "me", "tool_calls": [{"id": "c1", "type": "function", **called(0, name="add", arguments="")}]},
        {"tool_calls": [called(0, arguments='{"a"'), {"id": "c2", **called(1, arguments="x")}]},
        {"tool_calls": [called(0, arguments=": 1}")]},
    ]
    for place, delta in enumerate(deltas):
        logprobs = {"content": [{"token": str(place), "logprob": -1.0}]} if place < 2 else None
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        assembly.add({"id": "x", "choices": [choice]})
    assert not assembly.complete
    assembly.add({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    assembly.add({"id": "x", "choices": [], "usage": {"total_tokens": 9}})
    assert assembly.complete
    response = assembly.response()
    assert response.keys() == {"id", "object", "usage", "choices"}
    [choice] = response["choices"]
    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": None,
            "reasoning": "let me",
            "tool_calls": [
                {"id": "c1", "type": "function", **called(0, name="add", arguments='{"a": 1}')},
                {"id": "c2", **called(1, arguments="x")},
            ],
        },
        "logprobs": {"content": [{"token": "0", "logprob": -1.0}, {"token": "1", "logprob": -1.0}]},
        "finish_reason": "tool_calls",
    }


def test_choices_that_come_interleaved_are_kept_apart():
    assembly = Assembly()
    for index, word in ((1, "b"), (0, "a"), (1, "B"), (0, "A")):
        assembly.add({"choices": [{"index": index, "delta": {"content": word}, "finish_reason": None}]})
    contents = [choice["message"]["content"] for choice in assembly.response()["choices"]]
    assert contents == ["aA", "bB"]
