"""An OpenTelemetry collector of our own: takes traces by OTLP over HTTP, as a real one does, and keeps them."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.httpserver import LocalServer, QuietHandler


@dataclass(frozen=True)
class Span:
    """A span as it was received."""

    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    service: str


class Collector(LocalServer):
    """Listens on a free port. A context manager."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)
        self.endpoint = f"http://127.0.0.1:{self.port}/v1/traces"

    def _take(self, request: ExportTraceServiceRequest) -> None:
        found = []
        for resource in request.resource_spans:
            about = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {item.key: _value(item.value) for item in span.attributes}
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    found.append(Span(span.name, *ids, span.status.code == 2, attributes, about["service.name"]))
        with self._lock:
            self._spans += found

    @property
    def spans(self) -> list[Span]:
        """What was received so far."""
        with self._lock:
            return list(self._spans)

    def children_of(self, span: Span) -> list[Span]:
        """The spans whose parent it is."""
        return [each for each in self.spans if (each.trace, each.parent) == (span.trace, span.id)]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
