"""What operators watch: queues, workers' doings and requests, in one scrape."""

from collections.abc import Iterator, Mapping
from functools import partial

from fastapi import APIRouter, Request, Response

from smart_filter_api.deps import OpenServices, Services
from smart_filter_api.latencies import Latencies
from smart_filter_shared.db.read_only import is_read_only
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.jobs import measures
from smart_filter_shared.jobs.measures import Count, Reading
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample
from smart_filter_shared.telemetry.metrics import Metric, Step

router = APIRouter(tags=["health"])

_COUNTERS: Mapping[Metric, Count] = {
    metrics.ATTEMPTS: Count.ATTEMPTS,
    metrics.RETRIES: Count.RETRIES,
    metrics.RELEASES: Count.RELEASES,
    metrics.LEASE_EXPIRIES: Count.EXPIRIES,
    metrics.DEAD_LETTERS: Count.DEAD,
    metrics.JOBS_ENDED: Count.ENDED,
}
_OUTCOMES = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    description="What the database knows may be two seconds old; while it is away, "
    "`smart_filter_database_up` is 0 and only this process's requests are shown.",
    response_class=Response,
    responses={200: {"description": "every metric", "content": {"text/plain": {}}}},
)
async def show(request: Request, services: OpenServices) -> Response:
    """Answer every metric of the table, in its order."""
    latencies: Latencies = request.app.state.latencies
    try:
        reading = await services.measured.get(lambda: _read(services))
    except DatabaseUnavailable:
        reading = None
    samples: dict[Metric, list[Sample]] = {metric: [] for metric in metrics.METRICS}
    samples[metrics.DATABASE_UP] = [Sample(0 if reading is None else 1)]
    samples[metrics.REQUESTS] = list(latencies.samples())
    if reading is not None:
        samples |= _of_the_database(reading)
    return Response(exposition.text(samples), media_type=exposition.MEDIA_TYPE)


async def _read(services: Services) -> Reading:
    read = partial(measures.read, silent_seconds=services.silent_seconds)
    async with services.reading() as connection:
        if await connection.run_sync(is_read_only):
            await connection.invalidate()
            raise DatabaseUnavailable("the database takes no writes")
        return await connection.run_sync(read)


def _of_the_database(reading: Reading) -> dict[Metric, list[Sample]]:
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
        metrics.STEPS: list(_steps(reading)),
        metrics.BATCH_SIZE: list(_batch_sizes(reading)),
        metrics.WORKERS: [Sample(count, place) for place, count in reading.workers.items()],
        metrics.WEBHOOK_LAG: [Sample(reading.webhook_lag_seconds)],
        metrics.RETENTION_LAG: [Sample(reading.retention_lag_seconds)],
        **{metric: list(_counts(reading, count)) for metric, count in _COUNTERS.items()},
    }


def _steps(reading: Reading) -> Iterator[Sample]:
    for measure, amount in reading.totals.items():
        if isinstance(measure.what, Step):
            labels = (measure.subject, measure.what)
            yield Sample(amount.seconds, labels, "_sum")
            yield Sample(amount.count, labels, "_count")


def _batch_sizes(reading: Reading) -> Iterator[Sample]:
    for measure, amount in reading.totals.items():
        if measure.what == Count.BATCHED:
            yield Sample(amount.count, (measure.subject,), "_sum")
        elif measure.what == Count.BATCHES:
            yield Sample(amount.count, (measure.subject,), "_count")


def _counts(reading: Reading, count: Count) -> Iterator[Sample]:
    # From nought on: of a counter that is first seen at 1 Prometheus does not know that it grew.
    counted: dict[str, int] = dict.fromkeys(
        _OUTCOMES if count == Count.ENDED else reading.queues, 0
    )
    for measure, amount in reading.totals.items():
        if measure.what == count:
            counted[measure.subject] = amount.count
    for subject, times in counted.items():
        yield Sample(times, (subject,))
