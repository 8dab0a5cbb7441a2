"""OpenTelemetry traces of passes, off by default: a span for a pass, and in it one for each request to the API server.

The packages are those of the extra `tracing`. Without an endpoint nothing of them is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from clientorg import __version__
from clientorg.control.logs import log_context
from clientorg.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

Answered = Callable[[int], None]
"""Called with the status code of an answer, 0 where there was none."""
Finish = Callable[[str, BaseException | None], None]
"""Called once a pass has ended: its outcome, and what it failed with."""


class Tracing(Protocol):
    """What a worker and a connection tell."""

    def reconcile(self, fields: Mapping[str, Any]) -> AbstractContextManager[Finish]:
        """Around a pass; `fields` are those of its log records."""

    def request(self, method: str, path: str) -> Answered | None:
        """Before a request; what is returned is called after it. None where nobody wants to know."""

    def close(self) -> None:
        """Send what is left. Blocks for some seconds at most."""


class NoTracing:
    """The default."""

    @contextmanager
    def reconcile(self, fields: Mapping[str, Any]) -> Iterator[Finish]:
        """Nothing."""
        yield lambda outcome, error: None

    def request(self, method: str, path: str) -> Answered | None:
        """Nothing."""
        return None

    def close(self) -> None:
        """Nothing."""


class OpenTelemetry:
    """Spans for an OpenTelemetry exporter.

    Args:
        exporter: where spans go, in batches, from a thread of its own.
        ratio: share of the passes that are traced, 0 to 1.
        identity: of this process, the attribute `service.instance.id`.
    """

    def __init__(self, exporter: SpanExporter, ratio: float, identity: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

        about = {
            "service.name": "clientorg-operator",
            "service.version": __version__,
            "service.instance.id": identity,
        }
        # Resource.create adds what OTEL_RESOURCE_ATTRIBUTES says.
        self._provider = TracerProvider(sampler=TraceIdRatioBased(ratio), resource=Resource.create(about))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("clientorg", __version__)

    @contextmanager
    def reconcile(self, fields: Mapping[str, Any]) -> Iterator[Finish]:
        """A span for a pass; its trace ID is in the log records written within."""
        from opentelemetry import trace

        attributes = {f"clientorg.{name}": value for name, value in fields.items()}
        namespace = str(fields["object"]).partition("/")[0]
        attributes["k8s.namespace.name"] = namespace
        with self._tracer.start_as_current_span(f"reconcile {fields['kind']}", attributes=attributes) as span:

            def finish(outcome: str, error: BaseException | None) -> None:
                span.set_attribute("clientorg.outcome", outcome)
                if error is not None:
                    span.record_exception(error)
                    span.set_status(trace.StatusCode.ERROR, str(error))

            with log_context(trace_id=trace.format_trace_id(span.get_span_context().trace_id)):
                yield finish

    def request(self, method: str, path: str) -> Answered | None:
        """A span for a request that belongs to a pass; watches and the election belong to none."""
        from opentelemetry import trace

        if not trace.get_current_span().is_recording():
            return None
        span = self._tracer.start_span(
            method, kind=trace.SpanKind.CLIENT, attributes={"http.request.method": method, "url.path": path}
        )

        def answered(code: int) -> None:
            if code:
                span.set_attribute("http.response.status_code", code)
            if code == 0 or code >= 400:
                span.set_status(trace.StatusCode.ERROR, "no answer" if code == 0 else str(code))
            span.end()

        return answered

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def tracing_to(endpoint: str | None, ratio: float, identity: str) -> Tracing:
    """Traces for an OTLP/HTTP endpoint; none without one. Headers and certificates come from OTEL_EXPORTER_OTLP_….

    Raises:
        ConfigurationError: the packages of the extra `tracing` are not installed.
    """
    if not endpoint:
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise ConfigurationError(
            "--tracing-endpoint needs the packages of the extra `tracing`: pip install 'clientorg[operator,tracing]'"
            f" ({error})"
        ) from error
    return OpenTelemetry(OTLPSpanExporter(endpoint=endpoint), ratio, identity)
