"""Spans on their way to a collector: OTLP over HTTP, in batches, by a thread of its own.

What a collector that is away does not take is lost: the queue is bounded, and nobody waits.
Importing this needs the extra `otlp`.
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

from smart_filter_shared.telemetry.tracing import HALF, Attribute, Span, SpanKind

# Of some 2 kB each: what a batch of a thousand photos tells at once has room.
_QUEUE_SPANS: Final = 8192
_AT_ONCE: Final = 512
_EVERY_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 3.0
_CLOSE_SECONDS: Final = 2.0
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.CONSUMER: api.SpanKind.CONSUMER,
    SpanKind.CLIENT: api.SpanKind.CLIENT,
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
}


class OtlpTraces:
    """Tells a collector; safe for threads.

    url: `http(s)://host[:port]`, to which OTLP's own path is added.
    """

    def __init__(self, url: str, process: str) -> None:
        resource = Resource.create(
            {
                "service.name": f"smart-filter-{process}",
                "service.version": version("smart-filter"),
                "service.instance.id": f"{socket.gethostname()}:{uuid.uuid4()}",
            }
        )
        self._ids = _Ids()
        # Who sees few of many traces chooses them in the collector, when they are whole.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )
        exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=_ANSWER_SECONDS)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_QUEUE_SPANS,
                max_export_batch_size=_AT_ONCE,
                schedule_delay_millis=_EVERY_SECONDS * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("smart_filter")

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Tell the first span of a trace."""
        links = []
        if caller is not None:
            found = TraceContextTextMapPropagator().extract({"traceparent": caller})
            context = api.get_current_span(found).get_span_context()
            if context.is_valid:
                links = [Link(context)]
        with self._ids.chosen(trace):
            begun = self._begun(span, None, links)
        self._end(begun, span)

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Tell a span below the first one of a trace."""
        self._end(self._begun(span, _first(trace)), span)

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Tell what was done together: a span of its own that links to each member's, and back."""
        together = self._begun(batch, None)
        back = [Link(together.get_span_context())]
        for trace, span in members:
            begun = self._begun(span, _first(trace), back)
            together.add_link(begun.get_span_context())
            self._end(begun, span)
        self._end(together, batch)

    def close(self) -> None:
        """Send what was told lately, for a moment at most."""
        # The processor would wait for half a minute for a collector that is away.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def _begun(self, span: Span, above: SpanContext | None, links: Sequence[Link] = ()) -> api.Span:
        context = Context()
        if above is not None:
            context = api.set_span_in_context(NonRecordingSpan(above), context)
        return self._tracer.start_span(
            span.name,
            context,
            kind=_KINDS[span.kind],
            attributes={str(name): value for name, value in span.attributes.items()},
            links=links,
            start_time=span.began_ns,
        )

    def _end(self, begun: api.Span, span: Span) -> None:
        for step in span.steps:
            self._end(self._begun(step, begun.get_span_context()), step)
        if span.trouble:
            begun.set_attribute(Attribute.TROUBLE, span.trouble)
            begun.set_status(api.Status(api.StatusCode.ERROR, span.trouble))
        begun.end(span.ended_ns)


def _first(trace: uuid.UUID) -> SpanContext:
    return SpanContext(trace.int, trace.int & HALF, is_remote=True, trace_flags=_SAMPLED)


class _Ids(IdGenerator):
    """Random ids, but those of the trace that a thread has chosen."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def chosen(self, trace: uuid.UUID) -> Iterator[None]:
        self._of_thread.trace = trace.int
        try:
            yield
        finally:
            self._of_thread.trace = None

    def generate_trace_id(self) -> int:
        chosen: int | None = getattr(self._of_thread, "trace", None)
        return chosen or random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        chosen: int | None = getattr(self._of_thread, "trace", None)
        return (chosen & HALF if chosen else random.getrandbits(64)) or 1
