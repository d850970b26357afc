"""What ``/metrics`` says: counts worked by hand after known requests, read by Prometheus' own parser."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text

from loopwise.gateway.limits import Limits
from loopwise.gateway.metrics import DURATION_BOUNDS_S, MOST_SERIES, Metrics
from loopwise.gateway.usage import Usage, usage_of
from loopwise.store import Store
from loopwise.types import Exchange, Feedback

CHAT = {"endpoint": "chat.completions", "model": "loopwise", "release": "tiny@0"}


def ask(gateway: str, text: str, **fields: Any) -> int:
    body = {"model": "loopwise", "messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{gateway}/v1/chat/completions", json=body).status_code


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in prometheus_text(text)
        for sample in family.samples
    }


def scraped(gateway: str) -> Callable[..., float | None]:
    """The value of a sample by its name and labels; None where there is none."""
    answer = httpx.get(f"{gateway}/metrics")
    assert answer.status_code == 200
    found = samples(answer.text)
    return lambda name, **labels: found.get((name, frozenset(labels.items())))


def exchange(**changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "id": "ex_1", "at": 1.0, "model": "loopwise", "release": "tiny@0", "fingerprint": "sha256:00",
        "arm": "champion", "propensity": 1.0, "request": {}, "response": None, "status": 200, "latency_s": 0.5,
    }  # fmt: skip
    return Exchange(**{**fields, **changes})


def of(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in metrics.collect():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_requests_through_the_gateway_are_counted(gateway: str):
    assert [ask(gateway, "hi"), ask(gateway, "ho"), ask(gateway, "hi", stream=True)] == [200, 200, 200]
    assert [ask(gateway, "fail"), ask(gateway, "refuse")] == [500, 400]
    value = scraped(gateway)
    assert value("loopwise_exchanges_total", **CHAT, status="2xx") == 3
    assert value("loopwise_exchanges_total", **CHAT, status="5xx") == 1
    assert value("loopwise_exchanges_total", **CHAT, status="4xx") == 1
    # the model's server counts 3 and 4 tokens in each whole answer, and none in its stream
    assert value("loopwise_tokens_total", **CHAT, direction="input") == 6
    assert value("loopwise_tokens_total", **CHAT, direction="output") == 8
    assert value("loopwise_exchange_duration_seconds_count", **CHAT) == 5
    assert value("loopwise_time_to_first_token_seconds_count", **CHAT) == 1
    assert value("loopwise_unrecorded_exchanges_total") == 0
    assert value("loopwise_store_healthy") == 1
    assert value("loopwise_waiting_rows") == 0
    assert value("loopwise_champion_info", release="tiny@0", fingerprint="sha256:00") == 1


async def test_requests_that_run_are_told(gateway: str, model: Any):
    assert scraped(gateway)("loopwise_running_requests") == 0  # the scrape itself does not count
    body = {"model": "loopwise", "messages": [{"role": "user", "content": "hang"}]}
    async with httpx.AsyncClient() as client:
        hanging = asyncio.create_task(client.post(f"{gateway}/v1/chat/completions", json=body))
        assert await asyncio.to_thread(model.began.wait, 10)
        value = await asyncio.to_thread(scraped, gateway)
        hanging.cancel()
        await asyncio.wait([hanging])
    assert value("loopwise_running_requests") == 1


def test_feedback_is_counted_by_kind_and_source(gateway: str):
    rows = [
        {"exchange_id": "a", "kind": "thumbs", "value": 1},
        {"exchange_id": "a", "kind": "thumbs", "value": -1},
        {"exchange_id": "a", "kind": "comment", "value": "slow", "source": "implicit"},
    ]
    assert httpx.post(f"{gateway}/v1/feedback", json=rows).status_code == 202
    value = scraped(gateway)
    assert value("loopwise_feedback_total", kind="thumbs", source="human") == 2
    assert value("loopwise_feedback_total", kind="comment", source="implicit") == 1


def test_an_exchange_that_is_lost_raises_the_alarm(
    store: Store, serve_store: Callable[[Store], AbstractContextManager[str]]
):
    with serve_store(store) as gateway:
        assert ask(gateway, "before") == 200
        with store.writing() as conn:
            conn.exec_driver_sql("ALTER TABLE exchanges RENAME TO gone")
        ask(gateway, "lost")
        value = scraped(gateway)
    assert value("loopwise_unrecorded_exchanges_total") == 1
    assert value("loopwise_store_healthy") == 0


def test_the_exposition_keeps_prometheus_rules(gateway: str):
    """What ``promtool check metrics`` asks for: help, units and suffixes, and no label with many values."""
    ask(gateway, "hi", user="lena@example.org", stream=True)
    httpx.post(f"{gateway}/v1/feedback", json={"exchange_id": "a", "kind": "thumbs", "value": 1, "user": "lena"})
    families = list(prometheus_text(httpx.get(f"{gateway}/metrics").text))
    ours = [family for family in families if family.name.startswith("loopwise_")]
    assert len(ours) == 10
    for family in ours:
        assert re.fullmatch(r"loopwise_[a-z_]+", family.name)
        assert family.documentation
        assert family.type != "counter" or all(sample.name.endswith("_total") for sample in family.samples)
        assert family.type != "histogram" or family.name.endswith("_seconds")
        assert not any(sample.name.endswith("_created") for sample in family.samples)
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= {
            "endpoint", "model", "release", "status", "direction", "kind", "source", "fingerprint", "le"
        }  # fmt: skip


def test_openmetrics_is_spoken_to_who_asks_for_it(gateway: str):
    ask(gateway, "hi")
    accept = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"
    answer = httpx.get(f"{gateway}/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in open_metrics(answer.text)}  # it refuses what breaks a rule
    assert families["loopwise_exchanges"].type == "counter"
    plain = httpx.get(f"{gateway}/metrics", headers={"accept": "*/*"})
    assert plain.headers["content-type"].startswith("text/plain; version=")


def test_buckets_are_cumulative_and_hold_their_upper_bound():
    metrics = Metrics(Limits(9))
    for seconds in (0.01, 0.011, 1.28, 1000.0):
        metrics.exchanged(exchange(latency_s=seconds), recorded=True)
    name = "loopwise_exchange_duration_seconds_bucket"
    assert DURATION_BOUNDS_S[:2] == (0.01, 0.02)
    expected = {"0.01": 1, "0.02": 2, "0.64": 2, "1.28": 3, "655.36": 3, "+Inf": 4}
    assert {le: of(metrics, name, **CHAT, le=le) for le in expected} == expected
    assert of(metrics, "loopwise_exchange_duration_seconds_sum", **CHAT) == pytest.approx(1001.301)


def test_a_client_that_hung_up_counts_as_abandoned():
    metrics = Metrics(Limits(9))
    metrics.exchanged(exchange(status=499), recorded=True)
    assert of(metrics, "loopwise_exchanges_total", **CHAT, status="abandoned") == 1


def test_releases_that_are_long_unused_make_room_for_new_ones():
    metrics = Metrics(Limits(9))
    metrics.exchanged(exchange(release="old"), recorded=True)
    for place in range(MOST_SERIES):
        metrics.exchanged(exchange(), recorded=True)
        metrics.exchanged(exchange(release=f"new@{place}"), recorded=True)
    counts = [of(metrics, "loopwise_exchanges_total", **{**CHAT, "release": release}, status="2xx")
              for release in ("old", "tiny@0", "new@0", f"new@{MOST_SERIES - 1}")]  # fmt: skip
    assert counts == [None, MOST_SERIES, None, 1]


def test_two_gateways_in_one_process_count_apart():
    first, second = Metrics(Limits(9)), Metrics(Limits(9))
    first.opined([Feedback("fb_1", 1.0, "thumbs", 1)])
    assert of(first, "loopwise_feedback_total", kind="thumbs", source="human") == 1
    assert of(second, "loopwise_feedback_total", kind="thumbs", source="human") is None


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ('{"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}', Usage(3, 4)),
        ('{"prompt_tokens": 3, "total_tokens": 3}', Usage(3, None)),  # embeddings
        (
            '{"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 6,'
            ' "output_tokens_details": {"reasoning_tokens": 1}}',
            Usage(5, 6, 2, 1),
        ),
        ('{"prompt_tokens": "3", "completion_tokens": true}', Usage()),
        ('{"prompt_tokens": -1, "prompt_tokens_details": 7}', Usage()),
        ('"many"', Usage()),
        ("null", Usage()),
    ],
)
def test_usage_is_read_under_each_endpoints_names_and_doubted(told: str, usage: Usage):
    assert usage_of({"usage": json.loads(told)}) == usage


def test_no_answer_has_no_usage():
    assert usage_of(None) == Usage()


def test_metrics_are_for_operators_and_a_scraper_may_name_the_key_as_bearer_or_basic(
    gateway: str, make_key: Callable[..., str], locked: Callable[[str], None]
):
    app, operator = make_key("app"), make_key("operator")
    locked(gateway)
    url = f"{gateway}/metrics"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {app}"}).status_code == 403
    assert httpx.get(url, headers={"Authorization": f"Bearer {operator}"}).status_code == 200
    answer = httpx.get(url, auth=("prometheus", operator))
    assert answer.status_code == 200
    assert operator not in answer.text
    assert operator.split("_")[1] not in answer.text
