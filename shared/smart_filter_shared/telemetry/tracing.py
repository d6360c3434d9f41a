"""Traces: one for each job, from its request to its webhook.

The trace id is the job's id, and the id of its first span is the second half of the job's id. Any
process that knows the job can add spans, so no row or message carries a trace context. A UUIDv7 is
suitable: it is never zero, and 62 bits of its second half are random (RFC 9562, 5.7; W3C Trace
Context Level 2, 3.2.2.3 and 3.2.2.4).

A span is recorded as a value when its work has ended; the caller does not wait for the export.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

# The bits of a job's id that are the id of the first span.
SPAN_ID_MASK: Final = (1 << 64) - 1


class SpanKind(StrEnum):
    """The OpenTelemetry kind of a span: it serves a request, takes from a queue, sends, or none."""

    SERVER = "server"
    CONSUMER = "consumer"
    CLIENT = "client"
    INTERNAL = "internal"


class Attribute(StrEnum):
    """The attributes of spans.

    device: the best device that the stage's model can use and this machine has.
    batch_size: number of stages that ran together.  trouble: error code of a failed span.
    Names without `smart_filter.` come from OpenTelemetry's semantic conventions.
    """

    JOB = "smart_filter.job_id"
    BATCH = "smart_filter.batch_id"
    CAPABILITY = "smart_filter.capability"
    MODEL = "smart_filter.model"
    DEVICE = "smart_filter.device"
    BATCH_SIZE = "smart_filter.batch_size"
    ATTEMPT = "smart_filter.attempt"
    WORKER = "smart_filter.worker_id"
    DELIVERY = "smart_filter.delivery_id"
    REQUEST = "smart_filter.request_id"
    TROUBLE = "error.type"
    METHOD = "http.request.method"
    ROUTE = "http.route"
    STATUS = "http.response.status_code"


Attributes = Mapping[Attribute, str | int]


@dataclass(frozen=True, slots=True)
class Span:
    """A finished piece of work.

    began_ns, ended_ns: nanoseconds of Unix time.  trouble: the error code, "" on success.
    steps: its parts, as child spans.
    """

    name: str
    began_ns: int
    ended_ns: int
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Attributes = field(default_factory=dict)
    trouble: str = ""
    steps: Sequence["Span"] = ()


class Traces(Protocol):
    """Records spans."""

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Record the first span of a trace.

        caller: the `traceparent` header of the client's request; the span links to it.
        """
        ...

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Record a span below the first span of a trace."""
        ...

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Record a batch: a span with links to a span in each member's trace, and links back."""
        ...

    def close(self) -> None:
        """Send the queued spans, within a few seconds."""
        ...


class NullTraces:
    """Discards all spans."""

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Do nothing."""

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Do nothing."""

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


NULL_TRACES: Final[Traces] = NullTraces()


def open_traces(url: str | None, process: str) -> Traces:
    """Return the recorder of this process's spans.

    url: a collector that speaks OTLP over HTTP; None discards spans and imports nothing.
    process: api, worker or sender.
    Raises ModuleNotFoundError when the extra `otlp` is not installed.
    """
    if url is None:
        return NULL_TRACES
    # Imported only on demand: it takes 0.3 s and 20 MB.
    from smart_filter_shared.telemetry import otlp  # noqa: PLC0415

    return otlp.OtlpTraces(url, process)
