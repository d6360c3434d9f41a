"""Send spans to a collector: OTLP over HTTP, in batches, from a background thread.

While the collector is down, spans are lost: the queue is bounded, and no caller waits.
Importing this module needs the extra `otlp`.
"""

import random
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from smart_filter_shared.telemetry.tracing import SPAN_ID_MASK, Attribute, Span, SpanKind

# Queue length; a span takes about 2 kB. Room for the burst of a batch of a thousand photos.
_QUEUE_SPANS: Final = 8192
_MAX_BATCH_SPANS: Final = 512
_EXPORT_SECONDS: Final = 2.0
_EXPORT_TIMEOUT_SECONDS: Final = 3.0
_CLOSE_SECONDS: Final = 2.0
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.CONSUMER: api.SpanKind.CONSUMER,
    SpanKind.CLIENT: api.SpanKind.CLIENT,
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
}


class OtlpTraces:
    """Exporter of spans to a collector; thread-safe.

    url: `http(s)://host[:port]`; OTLP's path is appended.
    """

    def __init__(self, url: str, process: str) -> None:
        resource = Resource.create(
            {
                "service.name": f"smart-filter-{process}",
                "service.version": version("smart-filter"),
                "service.instance.id": f"{socket.gethostname()}:{uuid.uuid4()}",
            }
        )
        self._ids = _TraceIdGenerator()
        # Export every trace: sampling belongs in the collector, which sees whole traces.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=_EXPORT_TIMEOUT_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_QUEUE_SPANS,
                max_export_batch_size=_MAX_BATCH_SPANS,
                schedule_delay_millis=_EXPORT_SECONDS * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("smart_filter")

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Record the first span of a trace."""
        links = []
        if caller is not None:
            parent = TraceContextTextMapPropagator().extract({"traceparent": caller})
            context = api.get_current_span(parent).get_span_context()
            if context.is_valid:
                links = [Link(context)]
        with self._ids.use_trace(trace):
            started = self._start(span, None, links)
        self._end(started, span)

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Record a span below the first span of a trace."""
        self._end(self._start(span, _root_context(trace)), span)

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Record a batch: a span with links to a span in each member's trace, and links back."""
        batch_span = self._start(batch, None)
        back = [Link(batch_span.get_span_context())]
        for trace, span in members:
            started = self._start(span, _root_context(trace), back)
            batch_span.add_link(started.get_span_context())
            self._end(started, span)
        self._end(batch_span, batch)

    def close(self) -> None:
        """Send the queued spans, for at most `_CLOSE_SECONDS`."""
        # The processor itself would wait half a minute for a collector that is down.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def _start(
        self, span: Span, parent: SpanContext | None, links: Sequence[Link] = ()
    ) -> api.Span:
        context = Context()
        if parent is not None:
            context = api.set_span_in_context(NonRecordingSpan(parent), context)
        return self._tracer.start_span(
            span.name,
            context,
            kind=_KINDS[span.kind],
            attributes={str(name): value for name, value in span.attributes.items()},
            links=links,
            start_time=span.began_ns,
        )

    def _end(self, started: api.Span, span: Span) -> None:
        for step in span.steps:
            self._end(self._start(step, started.get_span_context()), step)
        if span.trouble:
            started.set_attribute(Attribute.TROUBLE, span.trouble)
            started.set_status(api.Status(api.StatusCode.ERROR, span.trouble))
        started.end(span.ended_ns)


def _root_context(trace: uuid.UUID) -> SpanContext:
    return SpanContext(trace.int, trace.int & SPAN_ID_MASK, is_remote=True, trace_flags=_SAMPLED)


class _TraceIdGenerator(IdGenerator):
    """Generates random ids, or the ids of the trace that the thread has set."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def use_trace(self, trace: uuid.UUID) -> Iterator[None]:
        self._local.trace = trace.int
        try:
            yield
        finally:
            self._local.trace = None

    def generate_trace_id(self) -> int:
        trace: int | None = getattr(self._local, "trace", None)
        return trace or random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        trace: int | None = getattr(self._local, "trace", None)
        return (trace & SPAN_ID_MASK if trace else random.getrandbits(64)) or 1
