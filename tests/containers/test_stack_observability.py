"""Prometheus scrapes the stack, real faults make alerts fire, and traces arrive in a collector."""

import gzip
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from containers.compose_stack import (
    PATIENCE_SECONDS,
    ComposeStack,
    draw_photos,
)
from smart_filter_client import Client
from smart_filter_tests.http_server import ReceivedRequest
from smart_filter_tests.prometheus import Prometheus, shorten

# The first test builds the images.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def prometheus(stack: ComposeStack) -> Iterator[Prometheus]:
    """Prometheus of the stack, which has scraped the API and live video."""
    shorten(stack.folder / "deploy" / "prometheus")
    stack.up("prometheus")
    address = f"http://127.0.0.1:{stack.prometheus_port}/api/v1"
    with httpx.Client(base_url=address, timeout=60) as http:
        yield Prometheus(http)
    stack.compose("rm", "--stop", "--force", "prometheus")


def test_prometheus_scrapes_the_api_and_live_video(prometheus: Prometheus) -> None:
    prometheus.wait_until_scraped("api", "live")

    assert prometheus.list_firing() == set()


@contextmanager
def stopped(stack: ComposeStack, service: str) -> Iterator[None]:
    """Stop a service while the block lasts."""
    stack.compose("stop", service)
    try:
        yield
    finally:
        stack.up()


@pytest.mark.slow
@pytest.mark.parametrize(("server", "alert"), [("api", "ApiDown"), ("postgres", "DatabaseDown")])
def test_stopped_server_is_paged(
    stack: ComposeStack, prometheus: Prometheus, server: str, alert: str
) -> None:
    with stopped(stack, server):
        prometheus.wait_until_firing(alert)

    prometheus.wait_until_silent()


def test_queue_without_workers_is_paged(
    stack: ComposeStack, client: Client, prometheus: Prometheus
) -> None:
    with stopped(stack, "segmentation"):
        job = client.submit(draw_photos(1)[0])
        prometheus.wait_until_firing("QueueStalled")

    assert client.wait(job.id, timeout=PATIENCE_SECONDS).state == "succeeded"
    prometheus.wait_until_silent()


@pytest.mark.slow
def test_paused_queue_is_reported_in_place_of_a_stalled_one(
    stack: ComposeStack, client: Client, prometheus: Prometheus
) -> None:
    operator = {"authorization": f"Bearer {stack.create_key('local', 'operator')}"}
    with httpx.Client(base_url=stack.operators_url, headers=operator, timeout=60) as http:
        queues = http.get("/v1/operator/standing").raise_for_status().json()["queues"]
        names = [queue["capability"] for queue in queues]
        address = f"/v1/operator/queues/{next(n for n in names if n.startswith('smile'))}/pause"
        http.put(address).raise_for_status()
        job = client.submit(draw_photos(1)[0])

        prometheus.wait_until_firing("QueuePausedLong")

        assert "QueueStalled" not in prometheus.list_firing()
        http.delete(address).raise_for_status()
    assert client.wait(job.id, timeout=PATIENCE_SECONDS).state == "succeeded"


def test_trace_of_a_job_arrives_in_a_collector(stack: ComposeStack, client: Client) -> None:
    with stack.receiver("watching") as collector:
        settings = stack.folder / "deploy" / "settings.env"
        before = settings.read_text()
        address = collector.url.rstrip("/")
        settings.write_text(f"{before}SMART_FILTER_OTLP_URL={address}\n")
        stack.up()
        job = client.run(draw_photos(1)[0], timeout=PATIENCE_SECONDS)

        found = collector.wait(lambda request: job.id in jobs_of(request))

        settings.write_text(before)
        stack.up()
    assert found.path == "/v1/traces"


def jobs_of(request: ReceivedRequest) -> set[str]:
    """Return the ids of the jobs that have spans in a request of OTLP: their traces' ids."""
    is_compressed = request.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(request.body) if is_compressed else request.body
    return {
        str(uuid.UUID(bytes=span.trace_id))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
