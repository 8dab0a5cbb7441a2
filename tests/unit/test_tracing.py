"""Spans of passes and requests, in memory; that a real operator sends them is in tests/e2e/test_chart_story.py."""

from __future__ import annotations

import builtins
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clientorg.control.logs import ContextFilter
from clientorg.control.tracing import NoTracing, OpenTelemetry, tracing_to
from clientorg.errors import ConfigurationError

FIELDS = {"kind": "ClientOrg", "object": "agency-tokyo/acme", "reconcile_id": 7, "org": "7k2m9q4xta"}


class Traced:
    """A tracer and what it exported."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracing = OpenTelemetry(self.exporter, ratio, "pod-1")

    def spans(self) -> dict[str, ReadableSpan]:
        """Finished spans by name."""
        self.tracing._provider.force_flush()
        return {span.name: span for span in self.exporter.get_finished_spans()}


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes of a span."""
    assert span.attributes is not None
    return span.attributes


def test_pass_is_a_span_with_its_requests_in_it() -> None:
    traced = Traced()
    with traced.tracing.reconcile(FIELDS) as finish:
        answered = traced.tracing.request("PATCH", "/apis/clientorg.dev/v1alpha1/namespaces/agency-tokyo/clientorgs")
        assert answered is not None
        answered(200)
        finish("success", None)

    spans = traced.spans()
    whole, request = spans["reconcile ClientOrg"], spans["PATCH"]
    assert request.parent is not None
    assert whole.context is not None
    assert request.parent.span_id == whole.context.span_id
    assert attributes(whole)["clientorg.object"] == "agency-tokyo/acme"
    assert attributes(whole)["k8s.namespace.name"] == "agency-tokyo"
    assert attributes(whole)["clientorg.outcome"] == "success"
    assert attributes(request)["http.response.status_code"] == 200
    assert whole.status.is_ok or whole.status.is_unset
    assert whole.resource.attributes["service.instance.id"] == "pod-1"


@pytest.mark.parametrize("code", [0, 409, 503])
def test_failed_request_is_a_failed_span(code: int) -> None:
    traced = Traced()
    with traced.tracing.reconcile(FIELDS) as finish:
        answered = traced.tracing.request("GET", "/api/v1/namespaces")
        assert answered is not None
        answered(code)
        finish("retry", TimeoutError("no answer"))

    spans = traced.spans()
    assert not spans["GET"].status.is_ok
    assert not spans["GET"].status.is_unset
    assert spans["reconcile ClientOrg"].status.description == "no answer"
    assert [event.name for event in spans["reconcile ClientOrg"].events] == ["exception"]


def test_request_of_no_pass_is_not_traced() -> None:
    traced = Traced()
    assert traced.tracing.request("GET", "/apis") is None
    assert not traced.spans()


def test_ratio_of_zero_traces_nothing_and_asks_nothing_of_requests() -> None:
    traced = Traced(ratio=0.0)
    with traced.tracing.reconcile(FIELDS) as finish:
        assert traced.tracing.request("GET", "/apis") is None
        finish("success", None)
    assert not traced.spans()


def test_log_records_of_a_pass_have_its_trace() -> None:
    traced = Traced()
    record = logging.LogRecord("test", logging.INFO, __file__, 1, "text", (), None)
    with traced.tracing.reconcile(FIELDS):
        ContextFilter().filter(record)
    (span,) = traced.spans().values()
    assert span.context is not None
    assert record.__dict__["trace_id"] == f"{span.context.trace_id:032x}"


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert isinstance(tracing_to(None, 1.0, "pod-1"), NoTracing)
    assert isinstance(tracing_to("", 1.0, "pod-1"), NoTracing)


def test_missing_packages_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> Any:
        if name.startswith("opentelemetry.exporter"):
            raise ImportError(f"No module named {name!r}")
        return real(name, globals, locals, fromlist, level)

    monkeypatch.delitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"clientorg\[operator,tracing\]"):
        tracing_to("http://127.0.0.1:4318/v1/traces", 1.0, "pod-1")
