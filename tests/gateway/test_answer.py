"""Chat completions through the gateway: OpenAI's own client, the record, the release that answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from loopwise.release.transitions import promote, rollback
from loopwise.store import Store, meta
from loopwise.types import Exchange, JsonObject

Recorded = Callable[[], list[Exchange]]


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def post(gateway: str, body: JsonObject, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{gateway}/v1/chat/completions", json={"model": "loopwise", **body}, headers=named)


def test_openais_client_gets_an_answer_whose_id_is_the_recorded_exchange(client: openai.OpenAI, recorded: Recorded):
    raw = client.chat.completions.with_raw_response.create(
        model="loopwise", messages=user("hi"), temperature=0.5, extra_body={"top_k": 7}
    )
    answer = raw.parse()
    assert raw.headers["x-loopwise-recorded"] == "true"
    assert answer.choices[0].message.content == "tiny@0 hears hi"
    assert (answer.model, answer.system_fingerprint) == ("loopwise", "sha256:00")
    [exchange] = recorded()
    assert exchange.id == answer.id
    assert exchange.request == {"model": "loopwise", "messages": user("hi"), "temperature": 0.5, "top_k": 7}
    assert exchange.response == answer.to_dict()
    assert (exchange.release, exchange.fingerprint) == ("tiny@0", "sha256:00")
    assert (exchange.arm, exchange.propensity, exchange.status, exchange.train) == ("champion", 1.0, 200, True)
    assert 0 < exchange.latency_s < 5
    assert abs(exchange.at - time.time()) < 5


def test_fields_that_nobody_knows_travel_both_ways(client: openai.OpenAI, model: Any):
    answer = client.chat.completions.create(model="loopwise", messages=user("hi"), extra_body={"odd": [1, {"a": None}]})
    assert model.seen[0]["odd"] == [1, {"a": None}]
    assert model.seen[0]["model"] == "tiny@0"
    assert answer.to_dict()["unknown"] == {"kept": True}


def test_the_end_user_is_a_pseudonym_everywhere(gateway: str, model: Any, store: Store, recorded: Recorded):
    post(gateway, {"messages": user("hi"), "user": "lena@example.org", "safety_identifier": "lena-7"})
    with store.writing() as conn:
        key = meta.pseudonym_key(conn)
    expected = hmac.new(key, b"lena@example.org", hashlib.sha256).hexdigest()[:32]
    [exchange] = recorded()
    assert exchange.user == exchange.request["user"] == model.seen[0]["user"] == expected
    assert "lena" not in repr(exchange) + repr(model.seen)


def test_episode_from_metadata_is_recorded_and_not_passed_on(gateway: str, model: Any, recorded: Recorded):
    post(gateway, {"messages": user("a"), "metadata": {"episode_id": "e1", "team": "x"}})
    post(gateway, {"messages": user("b"), "metadata": {"episode_id": "e2"}})
    post(gateway, {"messages": user("c")}, X_Loopwise_Episode="e3")
    assert [exchange.episode for exchange in recorded()] == ["e1", "e2", "e3"]
    assert [body.get("metadata") for body in model.seen] == [{"team": "x"}, None, None]


def test_training_can_be_refused_by_header(gateway: str, recorded: Recorded):
    post(gateway, {"messages": user("hi")}, X_Loopwise_Train="false")
    assert recorded()[0].train is False
    refused = post(gateway, {"messages": user("hi")}, X_Loopwise_Train="no")
    assert (refused.status_code, len(recorded())) == (400, 1)


@pytest.mark.parametrize("stream", [False, True])
def test_store_false_keeps_every_word_out_of_the_store(gateway: str, recorded: Recorded, stream: bool):
    body = {"messages": user("secret"), "store": False, "stream": stream, "temperature": 0.5, "odd": "secret"}
    answer = post(gateway, body)
    assert "hears" in answer.text
    assert answer.headers["x-loopwise-recorded"] == "true"
    [exchange] = recorded()
    assert exchange.train is False
    assert "secret" not in repr(exchange)
    assert exchange.request["messages"] == [{"role": "user"}]
    assert exchange.request["temperature"] == 0.5
    assert exchange.response is not None
    assert exchange.response["choices"] == [{"index": 0, "finish_reason": "stop"}]


def test_store_false_keeps_a_refusal_that_may_quote_the_prompt_out_of_the_store(gateway: str, recorded: Recorded):
    assert post(gateway, {"messages": user("refuse"), "store": False}).status_code == 400
    assert recorded()[0].error == "status 400"


def test_a_new_champion_answers_within_a_second_and_a_rollback_too(client: openai.OpenAI, store: Store):
    def fingerprint() -> str | None:
        return client.chat.completions.create(model="loopwise", messages=user("hi")).system_fingerprint

    assert fingerprint() == "sha256:00"
    for change, expected in (
        (lambda: promote(store, "tiny@1", "test", "better"), "sha256:11"),
        (lambda: rollback(store, "test", "worse"), "sha256:00"),
    ):
        change()
        deadline = time.monotonic() + 1.0
        while (found := fingerprint()) != expected:
            assert time.monotonic() < deadline, f"still {found} after a second"


def test_a_release_can_be_asked_for_by_name(client: openai.OpenAI, recorded: Recorded):
    answer = client.chat.completions.create(model="tiny@1", messages=user("hi"))
    assert (answer.model, answer.system_fingerprint) == ("tiny@1", "sha256:11")
    assert (recorded()[0].arm, recorded()[0].release) == ("named", "tiny@1")


def test_an_unknown_model_is_openais_not_found(client: openai.OpenAI, recorded: Recorded):
    with pytest.raises(
        openai.NotFoundError, match=r"no model 'gpt-9'; it can be one of: loopwise, tiny@0, tiny@1"
    ) as e:
        client.chat.completions.create(model="gpt-9", messages=user("hi"))
    assert (e.value.code, e.value.param) == ("model_not_found", "model")
    assert recorded() == []


def test_weights_that_are_not_the_releases_are_never_passed_off_as_it(client: openai.OpenAI, recorded: Recorded):
    with pytest.raises(openai.InternalServerError, match="'sha256:stale', but the release is 'sha256:00'") as e:
        client.chat.completions.create(model="loopwise", messages=user("stale"))
    assert (e.value.status_code, e.value.code) == (502, "wrong_weights")
    [exchange] = recorded()
    assert (exchange.status, exchange.response) == (502, None)


def test_another_server_is_asked_for_its_model_and_its_claim_is_marked(remote_gateway: str, model: Any, store: Store):
    answer = post(remote_gateway, {"messages": user("hi")})
    assert model.seen[0]["model"] == "their-model"
    assert answer.json()["system_fingerprint"] == "upstream:their-model"
    assert answer.json()["model"] == "loopwise"
    assert post(remote_gateway, {"model": "tiny@1", "messages": user("hi")}).status_code == 404


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("refuse", 400, "refused with status 400: 'temperature' is too hot."),
        ("fail", 500, "refused with status 500: out of memory"),
        ("redirect", 502, "refused with status 307"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_wrong_upstream_is_said_and_recorded(
    gateway: str, recorded: Recorded, text: str, status: int, message: str, stream: bool
):
    answer = post(gateway, {"messages": user(text), "stream": stream})
    assert answer.status_code == status
    told = answer.json()["error"]["message"]
    assert message in told
    assert answer.headers["x-loopwise-recorded"] == "true"
    [exchange] = recorded()
    assert (exchange.status, exchange.error, exchange.response) == (status, told, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([1], "must be a JSON object"),
        ({"messages": user("a")}, "'model' must be a string"),
        ({"model": "loopwise"}, "'messages' must be a list"),
        ({"model": "loopwise", "messages": []}, "'messages' must be a list"),
        ({"model": "loopwise", "messages": [{"role": "user"}, "x"]}, r"messages\[1\] must be an object"),
        ({"model": "loopwise", "messages": user("a"), "stream": "yes"}, "'stream' must be a boolean"),
        ({"model": "loopwise", "messages": user("a"), "user": 7}, "'user' must be a string"),
        ({"model": "loopwise", "messages": user("a"), "metadata": {"episode_id": ""}}, "'metadata.episode_id'"),
    ],
)
def test_a_malformed_request_is_a_sentence_and_no_exchange(gateway: str, recorded: Recorded, body: Any, message: str):
    answer = httpx.post(f"{gateway}/v1/chat/completions", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    with pytest.raises(ValueError, match=message):
        raise ValueError(error["message"])
    assert recorded() == []


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b'{"a": NaN}', b'{"model": "\\ud800"}', b"[" * 100_000, b'{"n": ' + b"1" * 5_000 + b"}", b""],
)
def test_a_body_that_is_no_json_is_refused(gateway: str, content: bytes):
    answer = httpx.post(f"{gateway}/v1/chat/completions", content=content)
    assert answer.status_code == 400
    assert "not JSON in UTF-8" in answer.json()["error"]["message"]


def test_a_body_over_the_limit_is_refused(gateway: str):
    answer = post(gateway, {"messages": user("x" * 20_000_001)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_an_answer_that_is_no_json_is_a_502_that_says_so(gateway: str, recorded: Recorded):
    answer = post(gateway, {"messages": user("garbage")})
    assert answer.status_code == recorded()[0].status == 502
    assert "answered with something that is not JSON" in answer.json()["error"]["message"]


def test_a_model_that_is_not_there_is_a_502_with_the_way_out(serve_before: Any, recorded: Recorded):
    with serve_before("http://127.0.0.1:9") as url:
        answer = post(url, {"messages": user("hi")})
    assert answer.status_code == recorded()[0].status == 502
    assert "cannot be reached" in answer.json()["error"]["message"]
    assert "start it, or correct [engine] url" in answer.json()["error"]["message"]


def test_a_client_that_hangs_up_frees_the_model_and_leaves_a_499(gateway: str, model: Any, recorded: Recorded):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway}/v1/chat/completions", json={"model": "loopwise", "messages": user("hang")}, timeout=0.5)
    assert model.canceled.wait(5)
    wait_for(lambda: recorded() != [])
    [exchange] = recorded()
    assert (exchange.status, exchange.response) == (499, None)
    assert exchange.error == "the client hung up before the answer"


def test_without_a_champion_there_is_a_503_that_says_what_to_do(tmp_path: Any, serve_store: Any):
    store = Store("sqlite:///empty.db", tmp_path, create=True)
    with serve_store(store) as url:
        answer = post(url, {"messages": user("hi")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_champion")
    store.close()


def test_when_the_store_fails_answers_are_passed_on_marked_as_unrecorded(
    gateway: str, store: Store, caplog: pytest.LogCaptureFixture
):
    assert post(gateway, {"messages": user("hi")}).headers["x-loopwise-recorded"] == "true"
    with store.writing() as conn:
        conn.exec_driver_sql("DROP TABLE exchanges")
    answer = post(gateway, {"messages": user("hi")})
    assert answer.json()["choices"][0]["message"]["content"] == "tiny@0 hears hi"
    assert answer.headers["x-loopwise-recorded"] == "false"
    assert "ALARM: exchange ex_" in caplog.text
    stream = post(gateway, {"messages": user("hi"), "stream": True})
    assert stream.headers["x-loopwise-recorded"] == "false"
    assert stream.text.endswith(": x-loopwise-recorded: false\n\ndata: [DONE]\n\n")


def test_many_requests_at_once_are_all_recorded_once(gateway: str, recorded: Recorded):
    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="unused") as client:
            made = (client.chat.completions.create(model="loopwise", messages=user(str(n))) for n in range(60))
            return [answer.id for answer in await asyncio.gather(*made)]

    ids = asyncio.run(ask_all())
    assert sorted(ids) == sorted(exchange.id for exchange in recorded())
    assert len(set(ids)) == 60


def wait_for(condition: Callable[[], bool]) -> None:
    """For what another process's thread does after our connection is closed, where there is nothing to await."""
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
