"""A collector of traces: a real server on the loopback that takes what OTLP's exporter sends."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from smart_filter_tests.receiving import Got, Receiver, Says, a_receiver


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as it came.

    trace, span, above: ids as hexadecimal; above: of the span that it is part of, or empty.
    links: the ids of spans that it links to.  trouble: the message of its status.
    """

    service: str
    name: str
    trace: str
    span: str
    above: str
    links: frozenset[str]
    attributes: Mapping[str, str | int]
    began_ns: int
    ended_ns: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Collector:
    """Where traces go."""

    receiver: Receiver

    @property
    def url(self) -> str:
        """What SMART_FILTER_OTLP_URL is."""
        return self.receiver.url.removesuffix("/hook")

    def spans(self) -> list[Seen]:
        return [span for got in self.receiver.got for span in _read(got)]

    def trace(self, id_: uuid.UUID) -> list[Seen]:
        """Return what came of one trace, in the order of beginnings."""
        found = [span for span in self.spans() if span.trace == id_.hex]
        return sorted(found, key=lambda span: span.began_ns)


@contextlib.contextmanager
def a_collector() -> Iterator[Collector]:
    with a_receiver(lambda _: Says(200)) as receiver:
        yield Collector(receiver)


def _read(got: Got) -> Iterator[Seen]:
    assert got.path == "/v1/traces"
    assert got.headers["content-type"] == "application/x-protobuf"
    request = ExportTraceServiceRequest.FromString(got.body)
    for resource in request.resource_spans:
        service = next(
            one.value.string_value
            for one in resource.resource.attributes
            if one.key == "service.name"
        )
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    service=service,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    above=span.parent_span_id.hex(),
                    links=frozenset(link.span_id.hex() for link in span.links),
                    attributes={
                        one.key: one.value.string_value or one.value.int_value
                        for one in span.attributes
                    },
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    trouble=span.status.message,
                )
