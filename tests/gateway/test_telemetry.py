"""What an OpenTelemetry collector is told, and what never: a real one on a real port, its bytes searched."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from loopwise.gateway.app import create_app
from loopwise.gateway.genai import Server, evaluation_of, ids_of, span_of
from loopwise.gateway.otlp import Collector
from loopwise.gateway.telemetry import MOST_WAITING, Telemetry
from loopwise.gateway.traceparent import Parent, TraceParent, parsed
from loopwise.gateway.upstream import Upstream
from loopwise.store import Store
from loopwise.types import Exchange, Feedback
from otlp_collector import collecting, plain
from scripted import serving

HERE = Server("127.0.0.1", 4041)
SECRET = "the gallbladder of Mrs Overbury"  # stands in every place where somebody may write


@contextmanager
def gateway_telling(store: Store, upstream: Upstream, collector: str, text: bool = False) -> Iterator[str]:
    telemetry = Telemetry(Collector(collector), Server.of(upstream.url), {}, text)
    app = create_app(store, upstream, observers=[telemetry])
    app.add_middleware(TraceParent)
    try:
        with serving(app) as url:
            yield url
    finally:
        telemetry.close()


def ask(gateway: str, text: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{gateway}/v1/chat/completions", json=body, headers=headers)


def exchange(**changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "id": "ex_1", "at": 1000.0, "model": "loopwise", "release": "tiny@0", "fingerprint": "sha256:00",
        "arm": "champion", "propensity": 0.9, "request": {}, "response": None, "status": 200, "latency_s": 0.5,
    }  # fmt: skip
    return Exchange(**{**fields, **changes})


def test_an_exchange_is_a_span_by_the_conventions(store: Store, model: Any):
    began = time.time()
    with (
        collecting() as (url, received),
        gateway_telling(store, Upstream(model.url, None, "embedded", "tiny"), url) as gateway,
    ):
        headers = {"X-Loopwise-Episode": "ep-7"}
        answer = ask(gateway, "hi", headers, temperature=0.5, max_tokens=9, seed=3, n=1, user="lena").json()
        ended = time.time()
        received.wait(spans=1)
    [span] = received.spans
    assert (span.name, span.kind, span.status.code) == (
        "chat loopwise",
        Span.SPAN_KIND_CLIENT,
        Status.STATUS_CODE_UNSET,
    )
    assert began * 1e9 <= span.start_time_unix_nano < span.end_time_unix_nano <= ended * 1e9
    attributes = plain(span.attributes)
    assert attributes.pop("server.port") == int(model.url.rpartition(":")[2])
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "loopwise",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": answer["id"],
        "gen_ai.response.model": "tiny@0",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.conversation.id": "ep-7",
        "openai.api.type": "chat_completions",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
        "loopwise.release": "tiny@0",
        "loopwise.fingerprint": "sha256:00",
        "loopwise.arm": "champion",
        "loopwise.propensity": 1.0,
        "loopwise.recorded": True,
        "loopwise.train": True,
    }
    assert received.resources[0]["service.name"] == "loopwise"
    assert received.schema_urls == {"https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"}


def test_feedback_is_an_evaluation_of_its_exchanges_span(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    with collecting() as (url, received), gateway_telling(store, upstream, url) as gateway:
        answer_id = ask(gateway, "hi").json()["id"]
        rows = [
            {"exchange_id": answer_id, "kind": "thumbs", "value": -1, "id": "fb-1"},
            {"exchange_id": answer_id, "kind": "rating", "value": 4, "scale": [1, 5]},
            {"exchange_id": answer_id, "kind": "metric", "value": 0.25, "name": "groundedness"},
            {"episode_id": "ep-7", "kind": "accept"},
        ]
        assert httpx.post(f"{gateway}/v1/feedback", json=rows).is_success
    [span] = received.spans
    assert {record.event_name for record in received.records} == {"gen_ai.evaluation.result"}
    thumbs, rating, metric, accept = (plain(record.attributes) for record in received.records)
    assert thumbs == {
        "gen_ai.evaluation.name": "thumbs",
        "gen_ai.evaluation.score.value": -1.0,
        "gen_ai.evaluation.score.label": "down",
        "gen_ai.response.id": answer_id,
        "loopwise.feedback.id": "fb-1",
        "loopwise.feedback.kind": "thumbs",
        "loopwise.feedback.source": "human",
        "loopwise.feedback.choice": 0,
    }
    assert (rating["gen_ai.evaluation.score.value"], rating["loopwise.feedback.scale"]) == (4.0, [1.0, 5.0])
    assert (metric["gen_ai.evaluation.name"], metric["gen_ai.evaluation.score.value"]) == ("groundedness", 0.25)
    assert accept["gen_ai.conversation.id"] == "ep-7"
    assert [(record.trace_id, record.span_id) for record in received.records] == [
        *[(span.trace_id, span.span_id)] * 3,
        (b"", b""),
    ]


def test_feedback_finds_the_span_of_an_exchange_that_was_served_long_ago():
    judged = evaluation_of(Feedback("fb_1", 1.0, "thumbs", 1, "ex_1"), None, text=False)
    span = span_of(exchange(id="ex_1"), True, HERE, None, text=False)
    assert (judged.trace_id, judged.span_id) == (span.trace_id, span.span_id) == ids_of("ex_1")


SPOKEN: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": SECRET},
        {"role": "user", "content": [{"type": "text", "text": SECRET}], "name": SECRET},
    ],
    "user": SECRET,
    "safety_identifier": SECRET,
    "stop": [SECRET],
    "metadata": {"episode_id": SECRET, "note": SECRET},
    "unknown": SECRET,
    "reasoning_effort": SECRET,
    "response_format": {"type": SECRET},
    "prediction": {"type": "content", "content": SECRET},
    "tools": [{"type": "function", "function": {"name": "f", "description": SECRET}}],
}


def opinions(answer_id: str) -> list[dict[str, Any]]:
    rest = {"exchange_id": answer_id, "user": SECRET, "comment": SECRET, "metadata": {SECRET: SECRET}}
    return [
        {"kind": "correction", "value": SECRET, **rest},
        {"kind": "comment", "value": SECRET, **rest},
        {"kind": "edit", "value": SECRET, **rest},
        {"kind": "copy", "value": SECRET, **rest},
        {"kind": "follow_up", "value": SECRET, **rest},
        {"kind": "preference", "value": {"chosen": SECRET, "rejected": "no"}, **rest},
        {"kind": "metric", "value": 1, "name": SECRET, **rest},
        {"kind": "thumbs", "value": 1, "id": SECRET, "supersedes": SECRET, "episode_id": SECRET, "user": SECRET},
        {"kind": "thumbs", "value": 1, "exchange_id": SECRET},
    ]


def speak_everywhere(gateway: str) -> None:
    answer = ask(gateway, SECRET, **SPOKEN)
    assert SECRET in answer.text
    ask(gateway, SECRET, **{**SPOKEN, "stream": True})
    ask(gateway, "refuse", **{key: value for key, value in SPOKEN.items() if key != "messages"})
    ask(gateway, SECRET, **{**SPOKEN, "store": False})
    ask(gateway, SECRET, temperature=SECRET, seed=SECRET, n=SECRET, max_tokens=SECRET, top_k=SECRET)
    for opinion in opinions(answer.json()["id"]):
        told = httpx.post(f"{gateway}/v1/feedback", json=opinion)
        assert told.is_success, told.text


def test_no_text_leaves_without_leave(store: Store, model: Any):
    upstream = Upstream(model.url + "/v1", "sk-upstream-key", "openai", "their-model")
    with collecting() as (url, received), gateway_telling(store, upstream, url) as gateway:
        speak_everywhere(gateway)
    for hidden in (SECRET, "Overbury", "gallbladder", "too hot", "sk-upstream-key"):
        assert hidden.encode() not in received.content
        assert json.dumps(hidden).encode() not in received.content


def test_with_leave_text_goes_with_its_exchange_and_its_feedback(store: Store, model: Any):
    upstream = Upstream(model.url, "sk-upstream-key", "embedded", "tiny")
    with collecting() as (url, received), gateway_telling(store, upstream, url, text=True) as gateway:
        answer_id = ask(gateway, "hi", stop=["END"]).json()["id"]
        row = {"exchange_id": answer_id, "kind": "correction", "value": "ho", "comment": "too curt", "user": "lena"}
        httpx.post(f"{gateway}/v1/feedback", json=row)
    span, evaluation = plain(received.spans[0].attributes), plain(received.records[0].attributes)
    assert json.loads(span["gen_ai.input.messages"]) == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    said = [{"role": "assistant", "parts": [{"type": "text", "content": "tiny@0 hears hi"}]}]
    assert json.loads(span["gen_ai.output.messages"]) == said
    assert span["gen_ai.request.stop_sequences"] == ["END"]
    assert evaluation["gen_ai.evaluation.explanation"] == "too curt"
    assert evaluation["loopwise.feedback.value"] == "ho"
    assert b"sk-upstream-key" not in received.content
    assert b"lena" not in received.content


def test_leave_does_not_hold_for_what_must_not_be_stored(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    with collecting() as (url, received), gateway_telling(store, upstream, url, text=True) as gateway:
        answer_id = ask(gateway, SECRET, store=False).json()["id"]
        for exchange_id in (answer_id, "ex_of_another_day"):
            row = {"exchange_id": exchange_id, "kind": "correction", "value": SECRET, "comment": SECRET}
            assert httpx.post(f"{gateway}/v1/feedback", json=row).is_success
    assert SECRET.encode() not in received.content


def test_the_callers_span_is_the_parent(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with collecting() as (url, received), gateway_telling(store, upstream, url) as gateway:
        ask(gateway, "unwanted", {"traceparent": f"00-{trace}-{caller}-00"})
        answer_id = ask(gateway, "hi", {"traceparent": f"00-{trace}-{caller}-01"}).json()["id"]
        ask(gateway, "alone")
        httpx.post(f"{gateway}/v1/feedback", json={"exchange_id": answer_id, "kind": "thumbs", "value": 1})
    assert len(received.spans) == 2  # the caller keeps nothing of the first trace, so neither do we
    first, alone = received.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (trace, caller)
    assert (alone.parent_span_id, alone.trace_id != first.trace_id) == (b"", True)
    assert (received.records[0].trace_id, received.records[0].span_id) == (first.trace_id, first.span_id)


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", Parent(int("a" * 32, 16), int("b" * 16, 16), True)),
        ("00-" + "a" * 32 + "-" + "b" * 16 + "-02", Parent(int("a" * 32, 16), int("b" * 16, 16), False)),
        ("01-" + "a" * 32 + "-" + "b" * 16 + "-01-later", Parent(int("a" * 32, 16), int("b" * 16, 16), True)),
        ("00-" + "a" * 32 + "-" + "b" * 16 + "-01-later", None),
        ("ff-" + "a" * 32 + "-" + "b" * 16 + "-01", None),
        ("00-" + "0" * 32 + "-" + "b" * 16 + "-01", None),
        ("00-" + "a" * 32 + "-" + "0" * 16 + "-01", None),
        ("00-" + "A" * 32 + "-" + "b" * 16 + "-01", None),
        (f"00-{SECRET}", None),
        ("", None),
        (None, None),
    ],
)
def test_traceparent_is_read_as_w3c_says(header: str | None, parent: Parent | None):
    assert parsed(header) == parent


def test_an_error_has_its_class_and_its_words_only_with_leave(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    for text in (False, True):
        with collecting() as (url, received), gateway_telling(store, upstream, url, text) as gateway:
            ask(gateway, "refuse")
        [span] = received.spans
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert plain(span.attributes)["error.type"] == "400"
        assert ("too hot" in span.status.message) is text


def test_a_dead_collector_neither_slows_nor_breaks_an_answer_and_what_is_lost_is_counted(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    began = time.perf_counter()
    with gateway_telling(store, upstream, "http://127.0.0.1:9") as gateway:
        statuses = [ask(gateway, "hi").status_code for _ in range(20)]
        assert statuses == [200] * 20
        assert time.perf_counter() - began < 2.0
    assert time.perf_counter() - began < 8.0  # the farewell, however long the collector is tried


class Stuck:
    """A sink that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.free = threading.Event()

    def send_spans(self, spans: Sequence[Any]) -> bool:
        self.asked.set()
        self.free.wait()
        return False

    def send_evaluations(self, evaluations: Sequence[Any]) -> bool:
        return True

    def close(self) -> None:
        self.free.set()


def lost(telemetry: Telemetry) -> dict[tuple[str, str], float]:
    [family] = [each for each in telemetry.collect() if each.name == "loopwise_telemetry_dropped"]
    return {(sample.labels["signal"], sample.labels["reason"]): sample.value for sample in family.samples}


def test_the_queue_is_bounded_and_each_loss_is_counted():
    sink = Stuck()
    telemetry = Telemetry(sink, HERE, {}, text=False)
    telemetry.exchanged(exchange(), True)
    assert sink.asked.wait(10)  # the first is in the sink's hands, and the rest has to wait
    for _ in range(MOST_WAITING + 3):
        telemetry.exchanged(exchange(), True)
    assert lost(telemetry)["spans", "queue"] == 3
    sink.free.set()
    telemetry.close()
    assert lost(telemetry)["spans", "collector"] == MOST_WAITING + 1


def test_text_that_waits_is_bounded_in_bytes():
    sink = Stuck()
    telemetry = Telemetry(sink, HERE, {}, text=True)
    telemetry.exchanged(exchange(), True)
    assert sink.asked.wait(10)
    long = exchange(request={"messages": [{"role": "user", "content": "x" * 15_000_000}]})
    for _ in range(3):
        telemetry.exchanged(long, True)
    assert lost(telemetry)["spans", "queue"] == 1
    sink.free.set()
    telemetry.close()


def test_losses_stand_in_the_metrics(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    with collecting() as (url, _), gateway_telling(store, upstream, url) as gateway:
        text = httpx.get(f"{gateway}/metrics").text
    assert 'loopwise_telemetry_dropped_total{reason="queue",signal="spans"} 0.0' in text
    assert 'loopwise_telemetry_sent_total{signal="evaluations"} 0.0' in text


def test_what_waits_is_sent_when_the_gateway_stops(store: Store, model: Any):
    upstream = Upstream(model.url, None, "embedded", "tiny")
    with collecting() as (url, received):
        with gateway_telling(store, upstream, url) as gateway:
            ask(gateway, "hi")
        assert len(received.spans) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"at": 1e300}, {}),
        ({"request": {"seed": 2**70, "top_k": 1.5, "n": True, "temperature": True}}, {}),
        ({"request": {"n": 3, "stream": True}}, {"gen_ai.request.choice.count": 3, "gen_ai.request.stream": True}),
        ({"response": {"choices": [7, {"finish_reason": ["x"]}], "usage": []}}, {"gen_ai.response.model": "tiny@0"}),
        (
            {"endpoint": "responses", "response": {"status": "incomplete", "incomplete_details": {"reason": "x_y"}}},
            {"gen_ai.response.finish_reasons": ["x_y"], "openai.api.type": "responses"},
        ),
        (
            {"endpoint": "embeddings", "request": {"dimensions": 8}},
            {"gen_ai.operation.name": "embeddings", "gen_ai.embeddings.dimension.count": 8},
        ),
        ({"request": {"messages": [{"role": 3}, None, "\ud800"], "stop": "\ud800"}}, {}),
        ({"first_token_s": 0.25}, {"gen_ai.response.time_to_first_chunk": 0.25}),
        ({"request": {"response_format": {"type": "json_schema"}}}, {"gen_ai.output.type": "json"}),
        ({"request": {"max_tokens": 5, "max_completion_tokens": 6}}, {"gen_ai.request.max_tokens": 6}),
    ],
)
def test_whatever_a_request_holds_makes_a_span_that_can_be_sent(changes: dict[str, Any], expected: dict[str, Any]):
    with collecting() as (url, received):
        telemetry = Telemetry(Collector(url), HERE, {}, text=True)
        telemetry.exchanged(exchange(**changes), True)
        telemetry.close()
    attributes = plain(received.spans[0].attributes)
    assert {key: attributes.get(key) for key in expected} == expected
    wild = {"gen_ai.request.seed", "gen_ai.request.top_k", "gen_ai.request.temperature"}
    assert not wild & attributes.keys()


def test_an_alias_has_its_own_server():
    with collecting() as (url, received):
        telemetry = Telemetry(Collector(url), HERE, {"big": Server.of("https://api.example.org/v1")}, text=False)
        telemetry.exchanged(exchange(model="big"), True)
        telemetry.exchanged(exchange(), True)
        telemetry.close()
    servers = [plain(span.attributes) for span in received.spans]
    told = [(attributes["server.address"], attributes["server.port"]) for attributes in servers]
    assert told == [("api.example.org", 443), ("127.0.0.1", 4041)]


def test_the_gateway_starts_without_opentelemetry():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import loopwise.gateway.app, loopwise.gateway.telemetry\n"
        "from loopwise.errors import MissingExtraError\n"
        "try:\n    import loopwise.gateway.otlp\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'loopwise[otel]'" in done.stdout
