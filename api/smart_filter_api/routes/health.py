"""Endpoints for probes and Prometheus: liveness, readiness, metrics."""

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from smart_filter_api.http.middleware import LatencyHistogram
from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.problems import problem
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.db.sessions import is_read_only
from smart_filter_shared.errors import DatabaseUnavailable, TryAgain
from smart_filter_shared.operations import counters
from smart_filter_shared.operations.counters import CounterName, ServiceMetrics
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.queue.worker_registry import SENDER_ROLE
from smart_filter_shared.storage.folder import has_room
from smart_filter_shared.telemetry import metrics
from smart_filter_shared.telemetry.metrics import Metric, Sample, WorkerStep

router = APIRouter(tags=["health"])
operators_router = APIRouter(tags=["health"], route_class=OperatorsRoute)

# A photo that no busy worker explains: workers poll each second.
_WAIT_SECONDS = 10.0
_OPTIONAL = frozenset({"broker", "workers", "temporary_files"})
# Time-out of each check in seconds; shorter than a request's, since probes time out soon.
_MAX_CHECK_SECONDS = 2.0
_UNAVAILABLE = "cannot be reached"

# A broker that is silent for longer counts as down, as for /readyz.
_BROKER_SECONDS = 2.0

_COUNTERS: Mapping[Metric, CounterName] = {
    metrics.ATTEMPTS: CounterName.ATTEMPTS,
    metrics.RETRIES: CounterName.RETRIES,
    metrics.RELEASES: CounterName.RELEASES,
    metrics.LEASE_EXPIRIES: CounterName.EXPIRIES,
    metrics.DEAD_LETTERS: CounterName.DEAD,
    metrics.JOBS_ENDED: CounterName.ENDED,
}
_OUTCOMES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)


class Health(BaseModel):
    """State of the process.

    degraded: what does not work, but is not needed for every answer: `broker`, which takes no
    writes, so that photos start up to a second later; `workers`, which do not take the photos that
    wait; `temporary_files`, without room for large photos.
    """

    status: str = "ok"
    degraded: list[str] = []


@router.get("/livez", summary="Check liveness")
async def get_liveness() -> Health:
    """Return `ok` while the process answers requests."""
    return Health()


@operators_router.get(
    "/readyz",
    summary="Check readiness",
    response_model=Health,
    responses=describe_responses("unavailable", needs_key=False),
)
async def get_readiness(request: Request, services: OpenServices) -> Health | Response:
    """Check database and storage, which the API needs, and broker, workers, temporary files."""
    faults: dict[str, str] = {}

    async def ask(name: str, question: Callable[[Services], Awaitable[str | None]]) -> None:
        fault: str | None = _UNAVAILABLE
        with anyio.move_on_after(min(_MAX_CHECK_SECONDS, services.database.patience_seconds)):
            fault = await question(services)
        if fault is not None:
            faults[name] = fault

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask, "database", _database_fault)
        asking.start_soon(ask, "storage", _storage_fault)
        asking.start_soon(ask, "broker", _broker_fault)
        asking.start_soon(ask, "workers", _workers_fault)
        asking.start_soon(ask, "temporary_files", _temporary_files_fault)
    missing = sorted(set(faults) - _OPTIONAL)
    if missing:
        return problem.problem_response(
            request,
            "unavailable",
            " and ".join(f"{name} {faults[name]}" for name in missing),
            headers={"Retry-After": str(problem.RETRY_AFTER_SECONDS)},
        )
    return Health(degraded=sorted(faults))


async def _database_fault(services: Services) -> str | None:
    try:
        return "is read-only" if await services.database.query(_leave_replica) else None
    except TryAgain:
        return _UNAVAILABLE


def _leave_replica(connection: Connection) -> bool:
    """Return whether the database is read-only; drop the connection then."""
    if is_read_only(connection):
        # The host name may resolve to another server now. No failed write would drop it: a process
        # that is not ready gets no requests.
        connection.invalidate()
        return True
    return False


async def _workers_fault(services: Services) -> str | None:
    try:
        waiting = await services.database.query(
            worker_registry.list_unattended,
            waited_seconds=_WAIT_SECONDS,
            silent_seconds=services.silent_seconds,
        )
    except TryAgain:
        return None  # the check of the database tells
    return f"do not take photos of {', '.join(waiting)}" if waiting else None


async def _temporary_files_fault(_: Services) -> str | None:
    try:
        return None if has_room(Path(tempfile.gettempdir())) else "have no room"
    except OSError:
        return _UNAVAILABLE


# The next two checks use threads of the default limiter and are abandoned when they take too long,
# so uploads that wait for storage do not delay the answer.
async def _storage_fault(services: Services) -> str | None:
    try:
        await anyio.to_thread.run_sync(services.storage.check, abandon_on_cancel=True)
    except TryAgain:
        return _UNAVAILABLE
    return None


async def _broker_fault(services: Services) -> str | None:
    return await anyio.to_thread.run_sync(services.broker.find_fault, abandon_on_cancel=True)


@operators_router.get(
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
    return Response(text, media_type=metrics.MEDIA_TYPE)


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
    return metrics.render(samples)


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
