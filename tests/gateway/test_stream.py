"""Streamed answers: passed on as they come, recorded before ``[DONE]``, honest when they break."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from loopwise.types import Exchange, JsonObject

Recorded = Callable[[], list[Exchange]]


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def body(text: str) -> JsonObject:
    return {"model": "loopwise", "messages": user(text), "stream": True}


def test_openais_client_reads_the_stream_and_the_record_is_the_whole_answer(client: openai.OpenAI, recorded: Recorded):
    chunks = list(client.chat.completions.create(model="loopwise", messages=user("hi"), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "tiny@0 hears hi"
    assert {(chunk.id, chunk.model, chunk.system_fingerprint) for chunk in chunks} == {
        (recorded()[0].id, "loopwise", "sha256:00")
    }
    [exchange] = recorded()
    assert exchange.response == {
        "id": exchange.id,
        "object": "chat.completion",
        "created": 1,
        "model": "loopwise",
        "system_fingerprint": "sha256:00",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "tiny@0 hears hi"}, "finish_reason": "stop"}
        ],
    }
    assert (exchange.status, exchange.fingerprint) == (200, "sha256:00")
    assert exchange.first_token_s is not None
    assert 0 < exchange.first_token_s <= exchange.latency_s


def test_the_exchange_is_on_disk_before_done_is_sent(gateway: str, recorded: Recorded):
    with httpx.stream("POST", f"{gateway}/v1/chat/completions", json=body("hi")) as answer:
        assert answer.headers["x-loopwise-recorded"] == "true"
        for line in answer.iter_lines():
            if line == "data: [DONE]":
                assert len(recorded()) == 1
                return
    pytest.fail("no [DONE]")


def test_a_server_that_leaves_out_done_but_ends_every_choice_is_complete(gateway: str, recorded: Recorded):
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body("no done"))
    assert answer.text.endswith("data: [DONE]\n\n")
    assert recorded()[0].status == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cut", "stopped in the middle of its answer"),
        ("nonsense", "sent a chunk that is not JSON"),
        ("sorry", "failed in the middle of its answer: the engine restarts"),
        ("turns stale", "the weights 'sha256:stale', but the release is 'sha256:00'"),
    ],
)
def test_a_stream_that_breaks_ends_with_an_error_and_no_done(
    client: openai.OpenAI, gateway: str, recorded: Recorded, text: str, message: str
):
    seen = ""
    with pytest.raises(openai.APIError, match=message):  # noqa: PT012 the stream fails while it is read
        for chunk in client.chat.completions.create(model="loopwise", messages=user(text), stream=True):
            seen += chunk.choices[0].delta.content or ""
    assert seen == "tiny@0 hears "
    [exchange] = recorded()
    assert exchange.status == 502
    assert message in str(exchange.error)
    assert exchange.response is not None
    assert exchange.response["choices"][0]["message"]["content"] == "tiny@0 hears "
    raw = httpx.post(f"{gateway}/v1/chat/completions", json=body(text)).text
    assert "[DONE]" not in raw
    assert json.loads(raw.rstrip().split("data: ")[-1])["error"]["message"] == exchange.error


def test_wrong_weights_are_refused_before_a_word_is_passed_on(gateway: str):
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body("stale"))
    assert answer.status_code == 502
    assert "hears" not in answer.text


def test_hanging_up_in_the_middle_frees_the_model_and_records_what_was_seen(
    gateway: str, model: Any, recorded: Recorded
):
    with httpx.stream("POST", f"{gateway}/v1/chat/completions", json=body("hang later")) as answer:
        next(answer.iter_bytes())
        assert model.began.wait(5)
    assert model.canceled.wait(5)
    deadline = time.monotonic() + 5.0
    while not recorded():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [exchange] = recorded()
    assert exchange.status == 499
    assert exchange.response is not None
    assert exchange.response["choices"][0]["message"]["content"] == "tiny@0 hears "
    assert exchange.error == "the client hung up in the middle of the answer"
