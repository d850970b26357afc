from __future__ import annotations

import pytest

from loopwise.curate.spoken import Answer, joined, spoken
from loopwise.types import Exchange

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


def exchange(request, response, **fields):
    values = {"status": 200, "endpoint": "chat.completions", **fields}
    return Exchange(
        id="ex1",
        at=1.0,
        model="m",
        release="m@1",
        fingerprint="sha256:0",
        arm="champion",
        propensity=1.0,
        request=request,
        response=response,
        latency_s=0.1,
        **values,
    )


ANSWERED = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]}
ASKED = {"messages": [{"role": "user", "content": "q"}]}


def test_choices_go_by_their_index():
    choices = [{"index": i, "message": {"role": "assistant", "content": text}} for i, text in [(1, "b"), (0, "a")]]

    assert spoken(exchange(ASKED, {"choices": choices})).answers == {1: Answer("b"), 0: Answer("a")}


@pytest.mark.parametrize(
    "fields", [{"train": False}, {"status": 500}, {"status": 499}, {"endpoint": "embeddings", "response": {"data": []}}]
)
def test_nothing_was_said_in_what_is_kept_out_failed_or_is_no_conversation(fields):
    response = fields.pop("response", ANSWERED)

    assert spoken(exchange(ASKED, response, **fields)) is None
    assert spoken(exchange(ASKED, None)) is None


def test_messages_keep_tool_calls_and_names_and_lose_what_is_no_part_of_a_row():
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Rome"}, {"type": "text", "text": "today?"}],
            "name": "u",
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "audio": None},
        {"role": "tool", "content": "20", "tool_call_id": "c1"},
    ]
    tools = [{"type": "function", "function": {"name": "weather"}}]

    found = spoken(exchange({"messages": messages, "tools": tools}, ANSWERED))

    assert found.messages == (
        {"role": "user", "content": "Rome\ntoday?", "name": "u"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "20", "tool_call_id": "c1"},
    )
    assert found.tools == tuple(tools)


def test_an_answer_may_be_tool_calls_alone_and_arguments_are_text():
    given = {**CALL, "function": {"name": "weather", "arguments": {"city": "Rome"}}, "index": 0}
    message = {"role": "assistant", "content": None, "tool_calls": [given]}

    assert spoken(exchange(ASKED, {"choices": [{"message": message}]})).answers == {0: Answer("", (CALL,))}


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        [{"type": "image_url", "image_url": {"url": "x"}}],
        [{"type": "text", "text": "a"}, {"type": "input_audio"}],
    ],
)
def test_content_that_is_no_text_is_passed_on_as_it_is(content):
    assert joined(content) == content


@pytest.mark.parametrize(
    ("metadata", "segment"), [({"segment": "law"}, "law"), ({"segment": 5}, ""), ({}, ""), (None, ""), ("x", "")]
)
def test_the_segment_is_the_requests_where_it_is_text(metadata, segment):
    assert spoken(exchange({**ASKED, "metadata": metadata}, ANSWERED)).segment == segment


def test_a_response_is_a_conversation_too():
    request = {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Rome?"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "20"},
        ],
        "tools": [{"type": "function", "name": "weather", "parameters": {}}],
    }
    output = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "20 degrees"}]}]

    found = spoken(exchange(request, {"output": output}, endpoint="responses"))

    assert found.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Rome?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "20", "tool_call_id": "c1"},
    )
    assert found.answers == {0: Answer("20 degrees")}
    assert found.tools == ({"type": "function", "function": {"name": "weather", "parameters": {}}},)


@pytest.mark.parametrize(
    ("endpoint", "request_", "response"),
    [
        ("responses", {"input": "q", "previous_response_id": "r"}, {"output": []}),
        ("responses", {"input": [{"type": "computer_call_output"}]}, {"output": []}),
        ("completions", {"prompt": "q"}, {"choices": [{"text": "a"}]}),
    ],
)
def test_what_is_not_the_whole_of_a_conversation_says_so_by_a_role(example, answers, endpoint, request_, response):
    from dataclasses import replace
    from functools import partial

    from loopwise.curate.unusable import drop_unusable

    found = spoken(exchange(request_, response, endpoint=endpoint))
    row = replace(example(), messages=found.messages)

    _, ledger = answers(partial(drop_unusable, max_characters=99), [row])

    assert ledger.rows()[0]["reason"] == "it is no conversation, or not the whole of one"
