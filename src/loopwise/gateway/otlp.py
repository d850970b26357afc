"""Spans and evaluations to an OpenTelemetry collector, over OTLP/HTTP. The only module that imports OpenTelemetry.

Headers (credentials of the collector), certificates, compression and further resource attributes come from
OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``, …).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version

from loopwise.errors import missing_extra
from loopwise.gateway.genai import SCHEMA_URL, Evaluation, Span
from loopwise.gateway.traceparent import Parent

try:
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExportResult
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
    from opentelemetry.trace.status import Status, StatusCode
except ModuleNotFoundError as error:
    raise missing_extra(error.name or "opentelemetry", "otel") from error

_TIMEOUT_S = 5.0  # of one batch, tries included

# They log each failed batch; who sends says once that the collector is gone, and counts what is lost.
logging.getLogger("opentelemetry.exporter.otlp.proto.http").setLevel(logging.CRITICAL)


class Collector:
    """A collector at ``url``, to whose ``/v1/traces`` and ``/v1/logs`` batches are sent. Blocks; raises nothing."""

    def __init__(self, url: str):
        base = url.rstrip("/")
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=_TIMEOUT_S)
        self._logs = OTLPLogExporter(f"{base}/v1/logs", timeout=_TIMEOUT_S)
        own = Resource.create({"service.name": "loopwise", "service.version": version("loopwise")})
        self._resource = own.merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("loopwise.gateway", version("loopwise"), SCHEMA_URL)

    def send_spans(self, spans: Sequence[Span]) -> bool:
        """False when they were not taken."""
        return self._spans.export([self._span(span) for span in spans]) is SpanExportResult.SUCCESS

    def send_evaluations(self, evaluations: Sequence[Evaluation]) -> bool:
        """False when they were not taken."""
        records = [self._record(evaluation) for evaluation in evaluations]
        return self._logs.export(records) is LogRecordExportResult.SUCCESS

    def close(self) -> None:
        """Ends a waiting for another try."""
        self._spans.shutdown()
        self._logs.shutdown()

    def _span(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id, remote=False),
            parent=_parent(span.parent),
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, span.error) if span.failed else Status(StatusCode.UNSET),
            start_time=span.began_ns,
            end_time=span.ended_ns,
            instrumentation_scope=self._scope,
        )

    def _record(self, evaluation: Evaluation) -> ReadableLogRecord:
        context = Context()
        if evaluation.span_id:
            judged = _context(evaluation.trace_id, evaluation.span_id, remote=False)
            context = set_span_in_context(NonRecordingSpan(judged), context)
        record = LogRecord(
            timestamp=evaluation.at_ns,
            context=context,
            severity_number=SeverityNumber.INFO,
            attributes=evaluation.attributes,
            event_name="gen_ai.evaluation.result",
        )
        return ReadableLogRecord(record, self._resource, self._scope)


def _context(trace_id: int, span_id: int, remote: bool) -> SpanContext:
    return SpanContext(trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED))


def _parent(parent: Parent | None) -> SpanContext | None:
    return _context(parent.trace_id, parent.span_id, remote=True) if parent else None
