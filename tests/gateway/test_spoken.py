"""The text of exchanges in the conventions' messages, worked by hand from OpenAI's forms."""

from __future__ import annotations

from typing import Any

import pytest

from loopwise.gateway.spoken import said, told
from loopwise.types import JsonObject


def text(role: str, *contents: str) -> JsonObject:
    return {"role": role, "parts": [{"type": "text", "content": content} for content in contents]}


CALL = {"type": "tool_call", "id": "c1", "name": "add", "arguments": '{"a": 1}'}
RETURNED = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "2"}]}


@pytest.mark.parametrize(
    ("request_body", "messages"),
    [
        ({"messages": [{"role": "system", "content": "be kind"}]}, [text("system", "be kind")]),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
                        ],
                    },
                    {"role": "tool", "tool_call_id": "c1", "content": "2"},
                ]
            },
            [{"role": "assistant", "parts": [CALL]}, RETURNED],
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "what is it?"},
                            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                        ],
                    }
                ]
            },
            [
                {
                    "role": "user",
                    "parts": [
                        {"type": "text", "content": "what is it?"},
                        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    ],
                }
            ],
        ),
        ({"prompt": "once upon"}, [text("user", "once upon")]),
        ({"prompt": ["one", "two"]}, [text("user", "one"), text("user", "two")]),
        ({"prompt": [[1, 2]]}, [text("user", "1", "2")]),
        ({"input": "hello"}, [text("user", "hello")]),
        (
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "add"}]},
                    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
                    {"type": "function_call_output", "call_id": "c1", "output": "2"},
                    {"type": "item_reference", "id": "i1"},
                ]
            },
            [
                text("user", "add"),
                {"role": "assistant", "parts": [CALL]},
                RETURNED,
                {"role": "user", "parts": [{"type": "item_reference", "id": "i1"}]},
            ],
        ),
        ({}, []),
    ],
)
def test_what_a_model_was_given(request_body: JsonObject, messages: list[Any]):
    assert told(request_body) == messages


@pytest.mark.parametrize(
    ("response", "messages"),
    [
        (
            {"choices": [{"message": {"role": "assistant", "content": "a"}}, {"message": {"refusal": "no"}}]},
            [text("assistant", "a"), text("assistant", "no")],
        ),
        (
            {"choices": [{"message": {"role": "assistant", "reasoning_content": "hm", "content": "a"}}]},
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a"}],
                }
            ],
        ),
        ({"choices": [{"text": "b"}]}, [text("assistant", "b")]),
        (
            {
                "output": [
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
                    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
                ]
            },
            [text("assistant", "c"), {"role": "assistant", "parts": [CALL]}],
        ),
        ({"data": [{"index": 0}]}, []),
    ],
)
def test_what_a_model_said(response: JsonObject, messages: list[Any]):
    assert said(response) == messages
