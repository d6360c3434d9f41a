"""Endpoint for Prometheus metrics: queues, workers and requests, in one scrape."""

from collections.abc import Iterator, Mapping

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from smart_filter_api.http.middleware import LatencyHistogram
from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.db.sessions import is_read_only
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.operations import counters
from smart_filter_shared.operations.counters import CounterName, ServiceMetrics
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.worker_registry import SENDER_ROLE
from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample
from smart_filter_shared.telemetry.metrics import Metric, WorkerStep

# A broker that is silent for longer counts as down, as for /readyz.
_BROKER_SECONDS = 2.0
router = APIRouter(tags=["health"], route_class=OperatorsRoute)

_COUNTERS: Mapping[Metric, CounterName] = {
    metrics.ATTEMPTS: CounterName.ATTEMPTS,
    metrics.RETRIES: CounterName.RETRIES,
    metrics.RELEASES: CounterName.RELEASES,
    metrics.LEASE_EXPIRIES: CounterName.EXPIRIES,
    metrics.DEAD_LETTERS: CounterName.DEAD,
    metrics.JOBS_ENDED: CounterName.ENDED,
}
_OUTCOMES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    description="Values may be two seconds old, those from the database four. While the database "
    "is unreachable, `smart_filter_database_up` is 0 and only this process's requests are shown.",
    response_class=Response,
    responses={200: {"description": "All metrics", "content": {"text/plain": {}}}},
)
async def get_metrics(request: Request, services: OpenServices) -> Response:
    """Return every metric of `metrics.METRICS`, in that order."""
    latencies: LatencyHistogram = request.app.state.latencies
    text = await services.caches.exposition.get(lambda: _render(services, latencies))
    return Response(text, media_type=exposition.MEDIA_TYPE)


async def _render(services: Services, latencies: LatencyHistogram) -> str:
    try:
        reading = await services.caches.measured.get(lambda: _read_counters(services))
    except DatabaseUnavailable:
        reading = None
    samples: dict[Metric, list[Sample]] = {metric: [] for metric in metrics.METRICS}
    samples[metrics.DATABASE_UP] = [Sample(0 if reading is None else 1)]
    samples[metrics.BROKER_UP] = [Sample(await _count_brokers(services))]
    samples[metrics.REQUESTS] = list(latencies.samples())
    if reading is not None:
        samples |= _database_samples(reading)
    return exposition.render(samples)


async def _count_brokers(services: Services) -> int:
    """Return 1 if the broker accepts writes, otherwise 0."""
    with anyio.move_on_after(_BROKER_SECONDS):
        fault = await anyio.to_thread.run_sync(services.broker.find_fault, abandon_on_cancel=True)
        return 1 if fault is None else 0
    return 0


async def _read_counters(services: Services) -> ServiceMetrics:
    def read(connection: Connection) -> ServiceMetrics:
        if is_read_only(connection):
            connection.invalidate()
            raise DatabaseUnavailable("the database is read-only")
        return counters.read_counters(connection, silent_seconds=services.silent_seconds)

    return await services.database.query(read)


def _database_samples(reading: ServiceMetrics) -> dict[Metric, list[Sample]]:
    return {
        metrics.STAGES: [
            Sample(count, (capability, state))
            for capability, queue in reading.queues.items()
            for state, count in (
                (StageState.WAITING, queue.waiting),
                (StageState.READY, queue.ready),
                (StageState.RUNNING, queue.running),
            )
        ],
        metrics.OLDEST_WAIT: [
            Sample(queue.oldest_wait_seconds, (capability,))
            for capability, queue in reading.queues.items()
        ],
        metrics.PAUSED: [
            Sample(int(capability in reading.paused), (capability,))
            for capability in sorted({*reading.queues, *reading.paused})
        ],
        metrics.STEPS: list(_step_samples(reading)),
        metrics.BATCH_SIZE: list(_batch_size_samples(reading)),
        metrics.WORKERS: [Sample(count, place) for place, count in reading.workers.items()],
        metrics.WEBHOOK_LAG: [Sample(reading.webhook_lag_seconds)],
        metrics.RETENTION_LAG: [Sample(reading.retention_lag_seconds)],
        **{metric: list(_counter_samples(reading, count)) for metric, count in _COUNTERS.items()},
    }


def _step_samples(reading: ServiceMetrics) -> Iterator[Sample]:
    for measure, amount in reading.totals.items():
        if isinstance(measure.what, WorkerStep):
            labels = (measure.subject, measure.what)
            yield Sample(amount.seconds, labels, "_sum")
            yield Sample(amount.count, labels, "_count")


def _batch_size_samples(reading: ServiceMetrics) -> Iterator[Sample]:
    for measure, amount in reading.totals.items():
        if measure.what == CounterName.ATTEMPTS:
            yield Sample(amount.count, (measure.subject,), "_sum")
        elif measure.what == CounterName.BATCHES:
            yield Sample(amount.count, (measure.subject,), "_count")


def _counter_samples(reading: ServiceMetrics, count: CounterName) -> Iterator[Sample]:
    # Start each counter at 0: Prometheus sees no increase in a counter that first appears at 1. A
    # queue has no stage before its first one, which can fail between two scrapes.
    served = {capability for capability, _ in reading.workers} - {SENDER_ROLE}
    counted: dict[str, int] = dict.fromkeys(
        _OUTCOMES if count == CounterName.ENDED else sorted({*reading.queues, *served}), 0
    )
    for measure, amount in reading.totals.items():
        if measure.what == count:
            counted[measure.subject] = amount.count
    for subject, times in counted.items():
        yield Sample(times, (subject,))
