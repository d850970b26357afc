"""The model's servers: which is asked, what is tried again and what is not, and how long they may take."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from loopwise.gateway.app import create_app
from loopwise.gateway.upstream import LARGEST_ANSWER_BYTES, Upstream
from loopwise.store import Store, feedback
from loopwise.types import Exchange, JsonObject
from scripted import serving

CHOICE = {"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}
ANSWER: JsonObject = {"id": "u", "model": "m", "choices": [CHOICE]}
Recorded = Callable[[], list[Exchange]]
Serve = Callable[..., AbstractContextManager[str]]


@dataclass
class Moody:
    """A server that gives its ``answers`` one after the other, then the usual one."""

    url: str = ""
    answers: list[Response] = field(default_factory=list[Response])
    asked: list[tuple[float, dict[str, str]]] = field(default_factory=list[tuple[float, dict[str, str]]])

    async def chat(self, request: Request) -> Response:
        self.asked.append((time.monotonic(), dict(request.headers)))
        return self.answers.pop(0) if self.answers else JSONResponse(ANSWER)


@pytest.fixture
def moody() -> Iterator[Moody]:
    moody = Moody()
    with serving(Starlette(routes=[Route("/v1/chat/completions", moody.chat, methods=["POST"])])) as moody.url:
        yield moody


@pytest.fixture
def behind(store: Store, moody: Moody) -> Serve:
    """Serves the gateway before ``moody``, with other limits where given."""

    @contextmanager
    def serve(aliases: dict[str, Upstream] | None = None, **limits: Any) -> Iterator[str]:
        upstream = replace(Upstream(moody.url, None, "openai", "m", retries=2), **limits)
        with serving(create_app(store, upstream, aliases)) as url:
            yield url

    return serve


def ask(url: str, **more: Any) -> httpx.Response:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hi"}], **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=20)


def refusal(status: int, **headers: str) -> Response:
    return JSONResponse({"error": {"message": "later", "type": "x", "code": "busy"}}, status, headers)


@pytest.mark.parametrize(("status", "headers"), [(429, {}), (503, {"retry-after": "0"})])
def test_a_refusal_that_began_nothing_is_tried_again_and_recorded_once(
    behind: Serve, moody: Moody, recorded: Recorded, status: int, headers: dict[str, str]
):
    moody.answers = [refusal(status, **headers), refusal(status, **headers)]
    with behind() as url:
        assert ask(url).json()["choices"][0]["message"]["content"] == "hi"
    assert len(moody.asked) == 3
    assert [exchange.status for exchange in recorded()] == [200]


def test_it_waits_for_as_long_as_the_server_asks(behind: Serve, moody: Moody):
    moody.answers = [refusal(429, **{"retry-after": "1"})]
    with behind() as url:
        assert ask(url).status_code == 200
    (first, _), (second, _) = moody.asked
    assert 1.0 <= second - first < 2.0


def test_it_does_not_wait_for_longer_than_a_client_would(behind: Serve, moody: Moody):
    moody.answers = [refusal(429, **{"retry-after": "60", "x-request-id": "r1"})]
    with behind() as url:
        answer = ask(url)
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-request-id"]) == (429, "60", "r1")
    assert answer.json()["error"] == {
        "message": "The model's server refused with status 429: later", "type": "x", "param": None, "code": "busy",
    }  # fmt: skip
    assert len(moody.asked) == 1


@pytest.mark.parametrize("status", [400, 500, 502, 503, 504])
def test_what_may_have_been_begun_is_not_tried_again(behind: Serve, moody: Moody, status: int):
    moody.answers = [refusal(status)]
    with behind() as url:
        assert ask(url).status_code == status
    assert len(moody.asked) == 1


def test_after_the_last_try_the_refusal_is_passed_on(behind: Serve, moody: Moody):
    moody.answers = [refusal(429), refusal(429), refusal(429), refusal(429)]
    with behind(retries=1) as url:
        assert ask(url).status_code == 429
    assert len(moody.asked) == 2


def test_a_server_that_is_not_there_is_a_502_after_its_tries(behind: Serve, recorded: Recorded):
    with behind(url="http://127.0.0.1:9", retries=3) as url:
        began = time.monotonic()
        answer = ask(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
    assert time.monotonic() - began < 5.0  # at most 0.25 + 0.5 + 1 s of waiting
    assert [exchange.status for exchange in recorded()] == [502]


async def slow_events(pauses_s: list[float]) -> AsyncIterator[bytes]:
    for pause_s in pauses_s:
        await asyncio.sleep(pause_s)
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
    yield b"data: [DONE]\n\n"


def test_a_stream_whose_first_event_is_late_is_a_504(behind: Serve, moody: Moody, recorded: Recorded):
    moody.answers = [StreamingResponse(slow_events([3.0]), media_type="text/event-stream")]
    with behind(first_token_s=0.3) as url:
        answer = ask(url, stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert "sent nothing for 0.3 s" in answer.json()["error"]["message"]
    assert recorded()[0].status == 504


def test_a_stream_that_stalls_ends_in_an_error_and_the_record_keeps_what_came(
    behind: Serve, moody: Moody, recorded: Recorded
):
    moody.answers = [StreamingResponse(slow_events([0.0, 3.0]), media_type="text/event-stream")]
    with behind(first_token_s=0.3) as url:
        text = ask(url, stream=True).text
    assert "sent nothing for 0.3 s" in text
    assert "[DONE]" not in text
    [exchange] = recorded()
    assert exchange.status == 504
    assert exchange.response is not None
    assert exchange.response["choices"][0]["message"]["content"] == "x"


def test_an_answer_that_takes_too_long_in_all_is_a_504(behind: Serve, moody: Moody):
    moody.answers = [StreamingResponse(slow_events([0.2] * 20), media_type="application/json")]
    with behind(total_s=0.5) as url:
        answer = ask(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert "within 0.5 s" in answer.json()["error"]["message"]


def test_the_time_for_an_answer_holds_all_tries(behind: Serve, moody: Moody):
    slow = StreamingResponse(slow_events([0.2] * 6), media_type="application/json")
    moody.answers = [refusal(429, **{"retry-after": "1"}), slow]
    with behind(total_s=1.5) as url:
        answer = ask(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert len(moody.asked) == 2
    moody.asked, moody.answers = [], [refusal(429, **{"retry-after": "3"})]
    with behind(total_s=2.0) as url:
        assert ask(url).status_code == 429
    assert len(moody.asked) == 1


def test_a_whole_answer_where_a_stream_was_asked_for_is_said(behind: Serve, recorded: Recorded):
    with behind() as url:
        answer = ask(url, stream=True)
    assert answer.status_code == 502
    assert "'application/json' where a stream was asked for" in answer.json()["error"]["message"]
    assert recorded()[0].status == 502


def test_an_alias_reaches_its_own_server_with_its_own_key(store: Store, moody: Moody, model: Any, recorded: Recorded):
    served = Upstream(model.url, "first-key", "openai", "their-model")
    other = Upstream(f"{moody.url}/v1", "second-key", "openai", "gpt")
    with serving(create_app(store, served, {"big": other})) as url:
        headers = {"authorization": "Bearer of-the-client", "traceparent": "00-1-2-01", "cookie": "c=1"}
        body = {"model": "big", "messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).json()
        named = {row["id"] for row in httpx.get(f"{url}/v1/models").json()["data"]}
    assert answer["model"] == "big"
    assert model.seen == []
    [(_, sent)] = moody.asked
    assert (sent["authorization"], sent["traceparent"]) == ("Bearer second-key", "00-1-2-01")
    assert "cookie" not in sent
    assert named == {"loopwise", "tiny@0", "tiny@1", "big"}
    [exchange] = recorded()
    assert (exchange.model, exchange.release, exchange.arm) == ("big", "external:gpt", "named")
    assert (exchange.fingerprint, exchange.upstream_id) == ("upstream:m", "u")


@pytest.mark.parametrize("status", [499, 600, 799])
def test_a_servers_own_number_is_not_taken_for_ours(behind: Serve, moody: Moody, store: Store, status: int):
    moody.answers = [refusal(status)]
    with behind() as url:
        assert ask(url, user="u").status_code == 502
    with store.reading() as conn:
        assert feedback.watermark(conn) == 0  # nobody hung up


@pytest.mark.parametrize("odd", ["²", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
def test_an_odd_retry_after_is_no_trouble(behind: Serve, moody: Moody, odd: str):
    moody.answers = [refusal(429, **{"retry-after": odd})]
    with behind(retries=1) as url:
        assert ask(url).status_code in (200, 429)


def test_a_refusal_that_comes_with_status_200_keeps_its_words(behind: Serve, moody: Moody, recorded: Recorded):
    moody.answers = [JSONResponse({"error": {"message": "quota gone", "type": "insufficient_quota", "code": "q"}})]
    with behind() as url:
        answer = ask(url)
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "insufficient_quota")
    assert answer.json()["error"]["message"] == "The model's server refused: quota gone"
    assert recorded()[0].status == 502


def test_a_small_answer_that_grows_beyond_all_bounds_is_refused(behind: Serve, moody: Moody, recorded: Recorded):
    bomb = gzip.compress(b" " * (LARGEST_ANSWER_BYTES + 1))
    moody.answers = [Response(bomb, media_type="application/json", headers={"content-encoding": "gzip"})]
    with behind() as url:
        answer = ask(url)
    assert answer.status_code == 502
    assert "an answer of over 64,000,000 bytes" in answer.json()["error"]["message"]


def test_another_servers_claim_is_never_taken_for_a_proof(behind: Serve, moody: Moody, recorded: Recorded):
    moody.answers = [JSONResponse({**ANSWER, "system_fingerprint": "sha256:00"})]
    with behind() as url:
        assert ask(url).json()["system_fingerprint"] == "upstream:sha256:00"
    assert recorded()[0].fingerprint == "upstream:sha256:00"


def test_store_is_passed_on_only_where_openai_has_it(store: Store, model: Any):
    with serving(create_app(store, Upstream(model.url, None, "openai", "m"))) as url:
        httpx.post(f"{url}/v1/embeddings", json={"model": "loopwise", "input": "a", "store": False})
        ask(url, store=False)
    assert ["store" in body for body in model.seen] == [False, True]


def test_a_long_name_is_not_repeated_in_full(behind: Serve):
    with behind() as url:
        answer = ask(url, model="x" * 1_000_000)
    assert answer.status_code == 404
    assert len(answer.content) < 2_000


def test_a_dead_alias_is_named_by_its_section(store: Store, moody: Moody):
    dead = Upstream("http://127.0.0.1:9", None, "openai", "m", retries=0, section="[aliases.far]")
    with serving(create_app(store, Upstream(moody.url, None, "openai", "m"), {"far": dead})) as url:
        assert "correct [aliases.far] url" in ask(url, model="far").json()["error"]["message"]


def test_an_id_that_was_brought_in_cannot_steer_a_call_to_our_server(behind: Serve, moody: Moody):
    row = {"id": "theirs", "model": "loopwise", "messages": [{"role": "user", "content": "a"}]}
    answer = {"id": "resp_1", "choices": [{"message": {"role": "assistant", "content": "b"}}]}
    with behind() as url:
        assert httpx.post(f"{url}/v1/exchanges", json={**row, "response": answer}).status_code == 200
        assert httpx.get(f"{url}/v1/responses/theirs").status_code == 404
    assert moody.asked == []


def test_words_that_no_database_can_hold_are_mended_in_the_record(behind: Serve, moody: Moody, recorded: Recorded):
    half = b'{"choices": [{"index": 0, "message": {"content": "a \\ud83d b"}, "finish_reason": "stop"}]}'
    refusal_with_nul = b'{"error": {"message": "no \\u0000 room"}}'
    moody.answers = [Response(half, media_type="application/json"), Response(refusal_with_nul, 400)]
    with behind() as url:
        assert ask(url).headers["x-loopwise-recorded"] == "true"
        assert ask(url).headers["x-loopwise-recorded"] == "true"
    first, second = recorded()
    assert first.response is not None
    assert first.response["choices"][0]["message"]["content"] == "a \ufffd b"
    assert second.error == "The model's server refused with status 400: no \ufffd room"
