"""A real OpenTelemetry collector on a real port: it decodes what it gets, and keeps every byte."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Received:
    """What the collector got. ``content`` is every byte, headers included."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.spans: list[Span] = []
        self.records: list[LogRecord] = []
        self.resources: list[dict[str, Any]] = []
        self.schema_urls: set[str] = set()
        self.changed = threading.Condition()

    def wait(self, spans: int = 0, records: int = 0) -> None:
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.spans) >= spans and len(self.records) >= records, 10)
        assert enough, (len(self.spans), len(self.records))


@contextmanager
def collecting() -> Iterator[tuple[str, Received]]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with received.changed:
                received.content += self.requestline.encode() + bytes(self.headers) + body
                if self.path == "/v1/traces":
                    for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                        received.resources.append(plain(part.resource.attributes))
                        for scope in part.scope_spans:
                            received.schema_urls.add(scope.schema_url)
                            received.spans += scope.spans
                elif self.path == "/v1/logs":
                    for part in ExportLogsServiceRequest.FromString(body).resource_logs:
                        for scope in part.scope_logs:
                            received.records += scope.log_records
                received.changed.notify_all()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def plain(attributes: Any) -> dict[str, Any]:
    def value(told: AnyValue) -> Any:
        kind = str(told.WhichOneof("value"))
        found = getattr(told, kind)
        return [value(item) for item in found.values] if kind == "array_value" else found

    return {pair.key: value(pair.value) for pair in attributes}
