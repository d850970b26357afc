"""Tells an OpenTelemetry collector of exchanges and feedback, from a thread that no answer waits for.

A collector that is slow or gone costs what waits beyond the bounds, and what a failed batch held: both are counted in
``/metrics``, and nothing else changes.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from loopwise.gateway.genai import Attributes, Evaluation, Server, Span, evaluation_of, span_of
from loopwise.gateway.observer import Observer
from loopwise.gateway.traceparent import calling
from loopwise.types import Exchange, Feedback

MOST_WAITING = 8_192  # spans, and as many evaluations
MOST_WAITING_BYTES = 32_000_000  # of text, where there is leave for it
_BATCH = 512
_PAUSE_S = 1.0  # between batches, unless one is full
_FAREWELL_S = 3.0
_REMEMBERED = 10_000  # exchanges

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes batches, or says that it did not; it may block, and raises nothing."""

    def send_spans(self, spans: Sequence[Span]) -> bool: ...

    def send_evaluations(self, evaluations: Sequence[Evaluation]) -> bool: ...

    def close(self) -> None: ...


class Telemetry(Observer):
    """``server`` is where the served model answers, ``servers`` where those of the aliases do; ``text`` is the leave
    to send what people and models wrote. What people say of an answer goes with its text only where the answer is
    among the latest and its caller let it be stored: of older ones nobody here knows."""

    def __init__(self, sink: Sink, server: Server, servers: Mapping[str, Server], text: bool):
        self._sink = sink
        self._server = server
        self._servers = servers
        self._text = text
        self._latest: OrderedDict[str, tuple[int, bool]] = OrderedDict()  # trace, and whether text may be kept
        self._spans = _Queue("spans", sink.send_spans)
        self._evaluations = _Queue("evaluations", sink.send_evaluations)
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="loopwise-telemetry", daemon=True)
        self._thread.start()

    def exchanged(self, exchange: Exchange, recorded: bool) -> None:
        parent = calling()
        if parent is not None and not parent.sampled:
            return
        server = self._servers.get(exchange.model, self._server)
        span = span_of(exchange, recorded, server, parent, self._text)
        self._latest[exchange.id] = (span.trace_id, exchange.store)
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        if self._spans.put(span, _size(span.attributes) if self._text else 0):
            self._wake.set()

    def opined(self, rows: Sequence[Feedback]) -> None:
        for row in rows:
            trace_id, may_be_kept = self._latest.get(row.exchange_id or "", (None, False))
            event = evaluation_of(row, trace_id, self._text and may_be_kept)
            if self._evaluations.put(event, _size(event.attributes) if self._text else 0):
                self._wake.set()

    def collect(self) -> Iterable[Metric]:
        """For ``/metrics``."""
        sent = CounterMetricFamily("loopwise_telemetry_sent", "What the collector took.", labels=("signal",))
        dropped = CounterMetricFamily(
            "loopwise_telemetry_dropped",
            "What it did not get: the queue was full, or the collector failed.",
            labels=("signal", "reason"),
        )
        for queue in (self._spans, self._evaluations):
            sent.add_metric((queue.signal,), queue.sent)
            for reason in ("queue", "collector"):
                dropped.add_metric((queue.signal, reason), queue.dropped[reason])
        yield sent
        yield dropped

    def close(self) -> None:
        """Sends what waits, for four seconds at most."""
        self._closing = True
        self._wake.set()
        self._thread.join(_FAREWELL_S)
        self._sink.close()  # what is being sent fails now
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_PAUSE_S)
            self._wake.clear()
            self._spans.send()
            self._evaluations.send()
        self._spans.send()
        self._evaluations.send()


class _Queue(Generic[T]):
    """Filled on the event loop, emptied in a thread. Bounded in items and in bytes of text."""

    def __init__(self, signal: str, take: Callable[[Sequence[T]], bool]):
        self.signal = signal
        self.sent = 0
        self.dropped: Counter[str] = Counter()
        self._take = take
        self._waiting: deque[tuple[T, int]] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._failing = False

    def put(self, item: T, size: int) -> bool:
        """Whether a batch is full."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
                self.dropped["queue"] += 1
                return False
            self._waiting.append((item, size))
            self._waiting_bytes += size
            return len(self._waiting) == _BATCH

    def send(self) -> None:
        """Until nothing waits."""
        while batch := self._batch():
            taken = self._take(batch)
            if taken:
                self.sent += len(batch)
            else:
                self.dropped["collector"] += len(batch)
            if taken == self._failing:
                self._failing = not taken
                _log.warning(
                    "The collector %s telemetry (%s).",
                    "takes" if taken else "does not take",
                    self.signal if taken else f"{self.signal}; /metrics counts what is lost",
                )

    def _batch(self) -> list[T]:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self._waiting_bytes -= sum(size for _, size in taken)
        return [item for item, _ in taken]


def _size(attributes: Attributes) -> int:
    return sum(len(value) for value in attributes.values() if isinstance(value, str))
