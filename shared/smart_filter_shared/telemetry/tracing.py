"""Traces: one for each job, from its request to its webhook; every name and attribute in one table.

A trace is known by its job's id, and its first span by the second half of that id: whoever has
the id can add to the trace, so that no row or message carries one. A UUIDv7 serves: it is never
nought, and 62 bits of its second half are random (RFC 9562, 5.7; W3C Trace Context Level 2,
3.2.2.3 and 3.2.2.4).

What was done is told when it is done, as values; whoever tells waits for nobody.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

# Of an id: what a span is known by.
HALF: Final = (1 << 64) - 1


class SpanKind(StrEnum):
    """What a span is to others: it answers somebody, takes from a queue, asks, or none of these."""

    SERVER = "server"
    CONSUMER = "consumer"
    CLIENT = "client"
    INTERNAL = "internal"


class Attribute(StrEnum):
    """What spans tell.

    device: the best that the stage's model can use and this machine has.
    batch_size: how many stages ran together.  trouble: the error's code, of what did not succeed.
    The others are names of OpenTelemetry's semantic conventions.
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
    """Something that was done.

    began_ns, ended_ns: nanoseconds of Unix time.  trouble: the code of what went wrong, or empty.
    steps: what it was made of.
    """

    name: str
    began_ns: int
    ended_ns: int
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Attributes = field(default_factory=dict)
    trouble: str = ""
    steps: Sequence["Span"] = ()


class Traces(Protocol):
    """Where spans are told."""

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Tell the first span of a trace.

        caller: the header `traceparent` of who asked for it: the span links there.
        """
        ...

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Tell a span below the first one of a trace."""
        ...

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Tell what was done together: a span of its own that links to each member's, and back."""
        ...

    def close(self) -> None:
        """Send what was told lately, for a moment at most."""
        ...


class Untold:
    """Traces that nobody wants to see."""

    def begin(self, trace: uuid.UUID, span: Span, *, caller: str | None) -> None:
        """Do nothing."""

    def add(self, trace: uuid.UUID, span: Span) -> None:
        """Do nothing."""

    def add_batch(self, batch: Span, members: Sequence[tuple[uuid.UUID, Span]]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


UNTOLD: Final[Traces] = Untold()


def opened(url: str | None, process: str) -> Traces:
    """Return where this process tells its spans.

    url: of a collector that speaks OTLP over HTTP; None: nowhere, and nothing is imported.
    process: what tells them: api, worker or sender.
    Raises ModuleNotFoundError when the extra `otlp` is not installed.
    """
    if url is None:
        return UNTOLD
    # 0.3 s and 20 MB, for those who want it.
    from smart_filter_shared.telemetry import otlp  # noqa: PLC0415

    return otlp.OtlpTraces(url, process)
