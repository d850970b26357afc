"""Exchanges that another gateway served: what may be left out, what is made of it, and who may be known by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from loopwise.gateway.brought import parse_brought
from loopwise.gateway.errors import ApiError
from loopwise.store import Store, feedback
from loopwise.types import Exchange, JsonObject

ASKED = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "17 + 25?"}]
ANSWER = {
    "id": "chatcmpl-9",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "system_fingerprint": "fp_1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
}

Recorded = Callable[[], list[Exchange]]


def bring(gateway: str, body: Any) -> httpx.Response:
    return httpx.post(f"{gateway}/v1/exchanges", json=body)


def test_a_whole_exchange_is_kept_as_it_was(gateway: str, recorded: Recorded):
    row = {
        "id": "message 7",
        "at": "2023-11-14T22:13:20Z",
        "model": "assistant",
        "request": {"model": "gpt-4o", "messages": ASKED, "temperature": 0.2, "user": "lena", "unknown": 1},
        "response": ANSWER,
        "status": 200,
        "latency_s": 1.5,
        "first_token_s": 0.25,
        "usage": {"total_tokens": 12},
        "episode_id": "chat 3",
        "metadata": {"page": "home"},
        "train": False,
    }
    answer = bring(gateway, row)
    assert (answer.status_code, answer.json()) == (200, {"ids": ["message 7"], "known": []})
    [found] = recorded()
    assert found == Exchange(
        id="message 7",
        at=1700000000.0,
        model="assistant",
        release="external:assistant",
        fingerprint="upstream:fp_1",
        arm="external",
        propensity=1.0,
        request={
            "model": "gpt-4o",
            "messages": ASKED,
            "temperature": 0.2,
            "user": found.user,
            "unknown": 1,
            "metadata": {"page": "home"},
        },
        response={**ANSWER, "id": "message 7", "usage": {"total_tokens": 12}},
        status=200,
        latency_s=1.5,
        first_token_s=0.25,
        user=found.user,
        episode="chat 3",
        train=False,
        upstream_id="chatcmpl-9",
    )
    assert len(str(found.user)) == 32


@pytest.mark.parametrize(
    ("row", "response"),
    [
        ({"messages": ASKED, "content": "42"}, {"object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}]}),
        ({"messages": ASKED, "choices": ANSWER["choices"]},
         {"object": "chat.completion", "choices": ANSWER["choices"]}),
        ({"endpoint": "completions", "request": {"prompt": "17 + 25 ="}, "content": "42"},
         {"object": "text_completion", "choices": [{"index": 0, "text": "42", "finish_reason": "stop"}]}),
        ({"endpoint": "responses", "request": {"input": "17 + 25?"}, "content": "42"},
         {"object": "response", "status": "completed", "output": [{"type": "message", "role": "assistant",
          "status": "completed", "content": [{"type": "output_text", "text": "42", "annotations": []}]}]}),
        ({"endpoint": "embeddings", "request": {"input": "x"},
          "response": {"data": [{"index": 0, "embedding": [0.5]}]}}, {"data": [{"index": 0}]}),
    ],
)  # fmt: skip
def test_the_short_forms_stand_for_openais_objects(
    gateway: str, recorded: Recorded, row: JsonObject, response: JsonObject
):
    answer = bring(gateway, {"model": "m", **row})
    assert answer.status_code == 200, answer.text
    [found] = recorded()
    assert found.id.startswith("ex_")
    assert found.response == {"id": found.id, **response}
    assert found.request["model"] == "m"
    assert (found.fingerprint, found.status, found.train) == ("upstream:m", 200, True)


def test_what_a_server_claims_of_its_weights_is_never_taken_for_proof(gateway: str, recorded: Recorded):
    bring(gateway, {"model": "m", "messages": ASKED, "response": {**ANSWER, "system_fingerprint": "sha256:00"}})
    assert recorded()[0].fingerprint == "upstream:sha256:00"


def test_the_same_id_twice_is_once_stored_and_said(gateway: str, recorded: Recorded):
    row = {"id": "m1", "model": "m", "messages": ASKED, "content": "42"}
    assert bring(gateway, row).json() == {"ids": ["m1"], "known": []}
    rows = [{**row, "content": "another"}, {**row, "id": "m2"}, {**row, "id": "m2"}]
    assert bring(gateway, rows).json() == {"ids": ["m1", "m2", "m2"], "known": ["m1"]}
    assert [
        (found.id, found.response and found.response["choices"][0]["message"]["content"]) for found in recorded()
    ] == [
        ("m1", "42"),
        ("m2", "42"),
    ]


def test_feedback_that_names_the_teams_own_id_finds_the_exchange(gateway: str, recorded: Recorded):
    row = {"exchange_id": "m1", "kind": "thumbs", "value": 1, "user": "lena"}
    assert httpx.post(f"{gateway}/v1/feedback", json=row).status_code == 202
    bring(gateway, {"id": "m1", "model": "m", "messages": ASKED, "content": "42", "user": "lena"})
    assert httpx.post(f"{gateway}/v1/feedback", json=row).status_code == 200
    assert recorded()[0].user is not None


@pytest.mark.parametrize("form", [{"store": False}, {"request": {"messages": ASKED, "store": False, "user": "lena"}}])
def test_no_text_is_kept_of_an_exchange_that_must_not_be_stored(
    gateway: str, store: Store, recorded: Recorded, form: JsonObject
):
    row = {"id": "m1", "model": "m", "error": "17 + 25 is hard", "content": "forty-two", **form}
    if "request" not in form:
        row |= {"messages": ASKED, "metadata": {"note": "17 + 25"}}
    assert bring(gateway, row).status_code == 200
    [found] = recorded()
    assert (found.store, found.train) == (False, False)
    for file in store.root.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert b"17 + 25" not in content
        assert b"forty-two" not in content
        assert b"lena" not in content


def test_an_exchange_that_failed_needs_no_answer(gateway: str, recorded: Recorded):
    assert bring(gateway, {"model": "m", "messages": ASKED, "error": "out of memory"}).status_code == 200
    assert bring(gateway, {"model": "m", "messages": ASKED, "status": 429}).status_code == 200
    assert [(found.status, found.error, found.response) for found in recorded()] == [
        (500, "out of memory", None),
        (429, None, None),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "say what was asked"),
        ({"messages": ASKED, "request": {"messages": ASKED}}, "say what was asked"),
        ({"messages": []}, "'messages' must be a list with at least one message"),
        ({"messages": [{"content": "x"}]}, "messages[0] must be an object with a string 'role'"),
        ({"messages": ASKED}, "say what was answered"),
        ({"messages": ASKED, "content": "42", "response": ANSWER}, "say once what was answered"),
        ({"messages": ASKED, "response": {}}, "is no answer of the endpoint 'chat.completions'"),
        ({"messages": ASKED, "choices": [{"text": "42"}]}, "is no answer of the endpoint 'chat.completions'"),
        ({"messages": ASKED, "content": "42", "model": None}, "say which model answered"),
        ({"messages": ASKED, "content": "42", "id": "a\0"}, "id: it holds the character NUL"),
        ({"messages": ASKED, "content": "42", "user": "\0"}, "user: it holds the character NUL"),
        ({"request": {"messages": ASKED, "user": "\0"}, "content": "42"}, "a text of 1 to 512 characters"),
        ({"request": {"messages": ASKED, "user": 7}, "content": "42"}, "request.user is of a wrong type: 7"),
        ({"request": {"messages": ASKED, "metadata": {"episode_id": 7}}, "content": "42"}, "a text of 1 to 512"),
        ({"messages": ASKED, "content": "42", "store": "no"}, "store: Input should be a valid boolean"),
        ({"messages": ASKED, "content": "42", "status": 42}, "status: Input should be greater than or equal to 100"),
        ({"messages": ASKED, "content": "42", "latency_s": -1}, "latency_s: "),
        ({"messages": ASKED, "content": "42", "latency": 1}, "latency: Extra inputs are not permitted"),
        ({"endpoint": "embeddings", "request": {"input": "x"}, "content": "42"}, "is given as 'response'"),
        ("x", "the row: "),
    ],
)
def test_a_wrong_row_is_a_sentence_with_its_place(row: Any, message: str):
    with pytest.raises(ApiError) as refused:
        parse_brought({"model": "m", **row} if isinstance(row, dict) else row, "[1]", None)
    assert refused.value.status == 400
    assert refused.value.message.startswith("Exchange [1]: ")
    assert message in refused.value.message


def test_a_list_is_taken_whole_or_not_at_all(gateway: str, recorded: Recorded):
    right = {"model": "m", "messages": ASKED, "content": "42"}
    answer = bring(gateway, [right, {**right, "content": 42}])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "[1].content")
    assert recorded() == []


def test_a_list_holds_up_to_a_thousand(gateway: str, store: Store):
    row = {"model": "m", "messages": ASKED, "content": "42"}
    assert "holds 0" in bring(gateway, []).json()["error"]["message"]
    assert "holds 1001" in bring(gateway, [row] * 1_001).json()["error"]["message"]
    assert len(bring(gateway, [row] * 1_000).json()["ids"]) == 1_000
    with store.reading() as conn:
        assert feedback.watermark(conn) == 0
