"""What is kept without text holds no text, whatever a client or a server sent."""

from __future__ import annotations

import json
from typing import Any, get_args

from hypothesis import given, settings, strategies as st

from loopwise.store.textless import textless_error, textless_feedback, textless_request, textless_response
from loopwise.types import Feedback, FeedbackKind

PLANTED = "the heron stands by the weir"
texts = st.just(PLANTED) | st.just("我爱北京天安门") | st.text(max_size=5)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from("ab"), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "model", "user", "seed", "temperature", "stop", "messages", "input", "prompt", "tools", "usage", "choices", "data",
    "output", "id", "status", "metadata", "instructions", "response_format", "stream_options", "n",
)  # fmt: skip
records = st.dictionaries(st.sampled_from(FIELDS) | texts, anything, max_size=6)
steady = settings(derandomize=True, deadline=None, max_examples=200)


def says(value: Any) -> bool:
    written = json.dumps(value, ensure_ascii=False)
    return PLANTED in written or "北京" in written


@steady
@given(records)
def test_no_text_comes_through_a_request_or_a_response(record: dict[str, Any]):
    assert not says(textless_request(record))
    assert not says(textless_response(record))


@steady
@given(st.sampled_from(get_args(FeedbackKind)), anything, records, st.none() | texts)
def test_no_text_comes_through_feedback(kind: FeedbackKind, value: Any, metadata: dict[str, Any], comment: str | None):
    kept = textless_feedback(Feedback("f", 1.0, kind, value, comment=comment, metadata=metadata))
    assert not says([kept.value, kept.comment, kept.metadata])
    assert textless_feedback(kept) == kept or kept.value != kept.value


def test_of_a_chat_sampling_roles_usage_and_endings_are_kept():
    request = {
        "model": "loopwise", "temperature": 0.2, "max_tokens": 5, "stream_options": {"include_usage": True},
        "stop": ["heron"], "tools": [{"type": "function"}], "user": "u1", "seed": 3,
        "messages": [{"role": "system", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}],
    }  # fmt: skip
    assert textless_request(request) == {
        "model": "loopwise", "temperature": 0.2, "max_tokens": 5, "stream_options": {"include_usage": True},
        "user": "u1", "seed": 3, "messages": [{"role": "system"}, {"role": "user"}],
    }  # fmt: skip
    usage = {"prompt_tokens": 3, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 0}}
    choices = [
        {"index": 0, "message": {"role": "assistant", "content": "heron"}, "finish_reason": "stop", "logprobs": {}},
        {"index": 1, "message": {"tool_calls": [{"function": {"arguments": "heron"}}]}, "finish_reason": "tool_calls"},
    ]
    response = {"id": "x", "object": "chat.completion", "created": 1, "usage": usage, "choices": choices, "x": "heron"}
    assert textless_response(response) == {
        "id": "x", "object": "chat.completion", "created": 1, "usage": usage,
        "choices": [{"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "tool_calls"}],
    }  # fmt: skip


def test_of_a_completion_neither_text_nor_token_ids_are_kept():
    assert textless_request({"model": "m", "prompt": [[1, 2], [3]], "best_of": 2}) == {"model": "m", "best_of": 2}
    assert textless_response({"choices": [{"index": 0, "text": "heron", "finish_reason": "length"}]}) == {
        "choices": [{"index": 0, "finish_reason": "length"}]
    }


def test_of_a_response_the_kinds_of_its_items_are_kept():
    request = {"model": "m", "input": "heron", "instructions": "heron", "previous_response_id": "resp_1"}
    assert textless_request(request) == {"model": "m", "previous_response_id": "resp_1"}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"text": "h"}]}
    call = {"type": "function_call", "id": "fc_1", "arguments": "heron", "name": "look", "status": "completed"}
    kept = textless_response({"id": "resp_2", "status": "completed", "output": [message, call], "usage": {"n": 1}})
    assert kept == {
        "id": "resp_2",
        "status": "completed",
        "usage": {"n": 1},
        "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"},
            {"type": "function_call", "id": "fc_1", "status": "completed"},
        ],
    }


def test_of_embeddings_no_vector_is_kept_since_text_can_be_made_of_it():
    assert textless_request({"model": "m", "input": ["heron"], "dimensions": 2}) == {
        "model": "m",
        "dimensions": 2,
        "input": [],
    }
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    assert textless_response({"object": "list", "data": data}) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0}],
    }


def test_an_error_keeps_its_status_alone():
    assert textless_error("'heron' is not allowed", 400) == "status 400"
    assert textless_error(None, 200) is None


def test_feedback_keeps_its_numbers():
    rating = Feedback("f", 1.0, "rating", 4, metadata={"scale": [1, 5], "why": "heron"})
    assert textless_feedback(rating) == Feedback("f", 1.0, "rating", 4, metadata={"scale": [1, 5]})
    metric = Feedback("f", 1.0, "metric", 0.5, metadata={"name": "solved"})
    assert textless_feedback(metric) == metric
    pair = Feedback("f", 1.0, "preference", {"chosen": 0, "rejected": 1})
    assert textless_feedback(pair) == pair
