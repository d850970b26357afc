"""``GET /metrics``: what the gateway counts, in Prometheus' text format or OpenMetrics, as the scraper asks.

Counts are plain numbers that only the event loop changes, and become series when somebody asks: an exchange costs a few
microseconds. Labels have few values (endpoint, alias, release, status class, kind, source): never users, ids or text.
Exchanges that were brought in are not counted: nobody observes them here.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from loopwise.errors import StoreError
from loopwise.gateway.limits import Limits
from loopwise.gateway.observer import Observer
from loopwise.gateway.state import Gateway, gateway_of
from loopwise.gateway.usage import usage_of
from loopwise.types import Exchange, Feedback, Release

# OpenTelemetry's advice for GenAI's durations, and on to the default time limit of an answer.
DURATION_BOUNDS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
                     327.68, 655.36)  # fmt: skip
FIRST_TOKEN_BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
                        30.0, 60.0, 120.0)  # fmt: skip
MOST_SERIES = 200  # combinations of endpoint, alias and release; the longest unused make room, as releases come and go

_SERVED = ("endpoint", "model", "release")
_ABANDONED = 499


class _Histogram:
    """Counts by bucket, not cumulated, and the sum of what was seen, in seconds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]):
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulated, each with its upper bound."""
        names = [*map(str, self.bounds), "+Inf"]
        return list(zip(names, map(float, itertools.accumulate(self.counts)), strict=True))


@dataclass(slots=True)
class _Series:
    """What is counted for one endpoint, alias and release."""

    statuses: Counter[str] = field(default_factory=Counter[str])
    duration: _Histogram = field(default_factory=lambda: _Histogram(DURATION_BOUNDS_S))
    first_token: _Histogram = field(default_factory=lambda: _Histogram(FIRST_TOKEN_BOUNDS_S))
    input_tokens: int = 0
    output_tokens: int = 0


@runtime_checkable
class Scraped(Protocol):
    """An observer that has metrics of its own."""

    def collect(self) -> Iterable[Metric]: ...


class Metrics(Observer):
    """Counts exchanges and feedback, and asks those of the other observers that have metrics, too."""

    def __init__(self, limits: Limits, observers: Sequence[Observer] = ()):
        self._limits = limits
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for observer in observers:
            if isinstance(observer, Scraped):
                self._registry.register(observer)
        ProcessCollector(registry=self._registry)
        self._series: OrderedDict[tuple[str, str, str], _Series] = OrderedDict()
        self._unrecorded = 0
        self._opinions: Counter[tuple[str, str]] = Counter()

    def exchanged(self, exchange: Exchange, recorded: bool) -> None:
        self._unrecorded += not recorded
        key = (exchange.endpoint, exchange.model, exchange.release)
        series = self._series.get(key) or self._new_series(key)
        self._series.move_to_end(key)
        series.statuses[_status_class(exchange.status)] += 1
        usage = usage_of(exchange.response)
        series.input_tokens += usage.input_tokens or 0
        series.output_tokens += usage.output_tokens or 0
        series.duration.observe(exchange.latency_s)
        if exchange.first_token_s is not None:
            series.first_token.observe(exchange.first_token_s)

    def opined(self, rows: Sequence[Feedback]) -> None:
        for row in rows:
            self._opinions[row.kind, row.source] += 1

    def collect(self) -> Iterable[Metric]:
        series = list(self._series.items())  # in one step: the event loop goes on counting meanwhile
        yield from _counters(series)
        yield from _histograms(series)
        unrecorded = "Exchanges that the store did not take: each is lost, so alarm on any increase."
        yield CounterMetricFamily("loopwise_unrecorded_exchanges", unrecorded, value=self._unrecorded)
        opinions = CounterMetricFamily("loopwise_feedback", "Feedback on disk.", labels=("kind", "source"))
        for labels, count in list(self._opinions.items()):
            opinions.add_metric(labels, count)
        yield opinions

    async def endpoint(self, request: Request) -> Response:
        """``GET /metrics``. The counts and the gateway's present state, written out in a thread."""
        gateway = gateway_of(request)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        state = _state(gateway, self._limits, await _champion(gateway))
        content = await asyncio.to_thread(lambda: encode(_Together(self._registry, state)))
        return Response(content, headers={"content-type": content_type})

    def _new_series(self, key: tuple[str, str, str]) -> _Series:
        if len(self._series) >= MOST_SERIES:
            self._series.popitem(last=False)
        self._series[key] = _Series()
        return self._series[key]


class _Together(Collector):
    """The registry's metrics, then some that hold for one scrape."""

    def __init__(self, registry: Collector, more: Sequence[Metric]):
        self._registry = registry
        self._more = more

    def collect(self) -> Iterable[Metric]:
        yield from self._registry.collect()
        yield from self._more


async def _champion(gateway: Gateway) -> Release | None:
    try:
        return (await gateway.served.now()).champion
    except StoreError:
        return None  # the gauge of the store's health tells


def _state(gateway: Gateway, limits: Limits, champion: Release | None) -> list[Metric]:
    running = GaugeMetricFamily(
        "loopwise_running_requests", "Requests that run now, of those that count.", value=limits.running
    )
    waiting = GaugeMetricFamily(
        "loopwise_waiting_rows",
        "Rows handed to the store and not yet on disk.",
        value=gateway.writer.waiting_rows,
    )
    healthy = GaugeMetricFamily(
        "loopwise_store_healthy",
        "1 when the last exchange got on disk, 0 when it did not.",
        value=gateway.recorder.healthy,
    )
    info = GaugeMetricFamily(
        "loopwise_champion_info", "The release that serves and its weights.", labels=("release", "fingerprint")
    )
    if champion is not None:
        info.add_metric((champion.name, champion.fingerprint), 1)
    return [running, waiting, healthy, info]


def _counters(series: Sequence[tuple[tuple[str, str, str], _Series]]) -> Iterable[Metric]:
    exchanges = CounterMetricFamily(
        "loopwise_exchanges",
        "Exchanges that ended, by the class of the client's status; 'abandoned': the client hung up.",
        labels=(*_SERVED, "status"),
    )
    tokens = CounterMetricFamily(
        "loopwise_tokens", "Tokens as the model's server counts them.", labels=(*_SERVED, "direction")
    )
    for key, counts in series:
        for status, count in list(counts.statuses.items()):
            exchanges.add_metric((*key, status), count)
        tokens.add_metric((*key, "input"), counts.input_tokens)
        tokens.add_metric((*key, "output"), counts.output_tokens)
    yield exchanges
    yield tokens


def _histograms(series: Sequence[tuple[tuple[str, str, str], _Series]]) -> Iterable[Metric]:
    duration = HistogramMetricFamily(
        "loopwise_exchange_duration_seconds", "From the request to its record on disk.", labels=_SERVED
    )
    first_token = HistogramMetricFamily(
        "loopwise_time_to_first_token_seconds", "From the request to the first token of a stream.", labels=_SERVED
    )
    for key, counts in series:
        for family, histogram in ((duration, counts.duration), (first_token, counts.first_token)):
            if any(histogram.counts):
                family.add_metric(key, histogram.buckets(), histogram.sum)
    yield duration
    yield first_token


def _status_class(status: int) -> str:
    return "abandoned" if status == _ABANDONED else f"{status // 100}xx"
