"""Streams of choices put together: what an unstreamed answer would be."""

from __future__ import annotations

import time
from typing import Any

from loopwise.gateway.endpoints.choices import ChoicesAssembly


def called(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


def test_tool_calls_reasoning_and_logprobs_are_put_together():
    assembly = ChoicesAssembly("chat.completion", 1)
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
    assembly = ChoicesAssembly("chat.completion", 1)
    for index, word in ((1, "b"), (0, "a"), (1, "B"), (0, "A")):
        assembly.add({"choices": [{"index": index, "delta": {"content": word}, "finish_reason": None}]})
    contents = [choice["message"]["content"] for choice in assembly.response()["choices"]]
    assert contents == ["aA", "bB"]


def test_completions_are_joined_with_their_log_probabilities():
    assembly = ChoicesAssembly("text_completion", 1)
    for text, offset in (("Hel", 0), ("lo", 3)):
        logprobs = {"tokens": [text], "token_logprobs": [-0.5], "top_logprobs": None, "text_offset": [offset]}
        assembly.add({"id": "x", "choices": [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": None}]})
    assert assembly.first_token_at is not None
    assembly.add({"id": "x", "choices": [{"index": 0, "text": "", "finish_reason": "length"}]})
    assert assembly.complete
    assert assembly.response() == {
        "id": "x",
        "object": "text_completion",
        "choices": [
            {
                "index": 0,
                "text": "Hello",
                "logprobs": {
                    "tokens": ["Hel", "lo"],
                    "token_logprobs": [-0.5, -0.5],
                    "top_logprobs": None,
                    "text_offset": [0, 3],
                },
                "finish_reason": "length",
            }
        ],
    }


def test_a_refusal_comes_in_pieces():
    assembly = ChoicesAssembly("chat.completion", 1)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "refusal": "I "}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "refusal": "cannot",
                        "tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "a"}}],
                    },
                }
            ]
        },
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "b"}}]}}]},
    ]
    for chunk in chunks:
        assembly.add(chunk)
    message = assembly.response()["choices"][0]["message"]
    assert message["refusal"] == "I cannot"
    assert message["tool_calls"][0]["function"] == {"arguments": "ab"}


def test_log_probabilities_cost_the_same_for_each_token_of_a_long_answer():
    def seconds(tokens: int) -> float:
        assembly = ChoicesAssembly("chat.completion", 1)
        began = time.perf_counter()
        for _ in range(tokens):
            logprobs = {"content": [{"token": "a", "logprob": -1.0}]}
            assembly.add({"choices": [{"index": 0, "delta": {}, "logprobs": logprobs}]})
        took = time.perf_counter() - began
        assert len(assembly.response()["choices"][0]["logprobs"]["content"]) == tokens
        return took

    assert min(seconds(16_000) for _ in range(3)) < 8 * min(seconds(4_000) for _ in range(3))


def test_an_answer_is_complete_when_as_many_choices_as_were_asked_for_have_ended():
    assembly = ChoicesAssembly("chat.completion", 2)
    for index, finish, complete in ((0, "stop", False), (1, None, False), (1, "length", True)):
        assembly.add({"choices": [{"index": index, "delta": {}, "finish_reason": finish}]})
        assert assembly.complete is complete
