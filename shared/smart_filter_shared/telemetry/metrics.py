"""Define every metric that /metrics shows, and render them in Prometheus' text format.

No label holds a tenant, a job or a key. Workers add their counters up in the database, and every
API process shows the totals: they survive restarts, and one scrape covers all workers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class MetricKind(StrEnum):
    """The Prometheus type of a metric.

    gauge: a current value.  counter: only grows.  summary: a sum and a count.
    histogram: a summary and counts by upper bound.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"
    HISTOGRAM = "histogram"


class WorkerStep(StrEnum):
    """A step of a worker that is timed.

    claim: the database query for work, with or without success.  load: download and decode inputs.
    infer: the stage's own code, divided by the batch size.  store: upload results.
    """

    CLAIM = "claim"
    LOAD = "load"
    INFER = "infer"
    STORE = "store"


class FrameOutcome(StrEnum):
    """The outcome of a frame of live video.

    shown: it was answered.  dropped: a newer frame replaced it.  refused: it was too large or not
    an image.
    """

    SHOWN = "shown"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and the names of its labels."""

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    meaning: str


DATABASE_UP = Metric(
    "smart_filter_database_up",
    MetricKind.GAUGE,
    (),
    "1 if the database answers and accepts writes. While it is 0, only request metrics are shown.",
)
BROKER_UP = Metric(
    "smart_filter_broker_up",
    MetricKind.GAUGE,
    (),
    "1 if the broker accepts writes, or none is used. While it is 0, photos start up to a second"
    " later.",
)
STAGES = Metric(
    "smart_filter_stages",
    MetricKind.GAUGE,
    ("capability", "state"),
    "Number of stages by state: waiting (for other stages or a delay), ready, running; the first"
    " two are counted up to 10,000.",
)
OLDEST_WAIT = Metric(
    "smart_filter_oldest_wait_seconds",
    MetricKind.GAUGE,
    ("capability",),
    "Age in seconds of the oldest of the first 10,000 ready stages; 0 if none.",
)
PAUSED = Metric(
    "smart_filter_paused",
    MetricKind.GAUGE,
    ("capability",),
    "1 while an operator has paused the queue (`smart-filter queues pause`).",
)
STEPS = Metric(
    "smart_filter_step_seconds",
    MetricKind.SUMMARY,
    ("capability", "step"),
    "Time of workers by step: claim (per claim), load, infer and store (per stage).",
)
ATTEMPTS = Metric(
    "smart_filter_attempts_total",
    MetricKind.COUNTER,
    ("capability",),
    "Claimed stages.",
)
RETRIES = Metric(
    "smart_filter_retries_total",
    MetricKind.COUNTER,
    ("capability",),
    "Attempts that raised an error, including last attempts.",
)
RELEASES = Metric(
    "smart_filter_releases_total",
    MetricKind.COUNTER,
    ("capability",),
    "Attempts released because storage or the database was unavailable.",
)
LEASE_EXPIRIES = Metric(
    "smart_filter_lease_expiries_total",
    MetricKind.COUNTER,
    ("capability",),
    "Leases that expired because their worker sent no heartbeat.",
)
JOBS_ENDED = Metric(
    "smart_filter_jobs_ended_total",
    MetricKind.COUNTER,
    ("outcome",),
    "Jobs that succeeded, failed or were canceled, counted within two seconds; "
    "a job that is redriven before it is counted counts once.",
)
DEAD_LETTERS = Metric(
    "smart_filter_dead_letters_total",
    MetricKind.COUNTER,
    ("capability",),
    "Stages that failed permanently although their photos are valid: attempts used up, a photo "
    "that kills workers, or storage or the database unavailable for too long.",
)
BATCH_SIZE = Metric(
    "smart_filter_batch_size",
    MetricKind.SUMMARY,
    ("capability",),
    "Number of stages claimed together as one batch.",
)
WORKERS = Metric(
    "smart_filter_workers",
    MetricKind.GAUGE,
    ("capability", "state"),
    "Number of workers by state: starting, ready, busy, draining, unhealthy, setup_failed.",
)
WEBHOOK_LAG = Metric(
    "smart_filter_webhook_lag_seconds",
    MetricKind.GAUGE,
    (),
    "Age of the oldest due webhook delivery that senders neglect; 0 if none. Those that wait for a "
    "slow or failing receiver do not count.",
)
RETENTION_LAG = Metric(
    "smart_filter_retention_lag_seconds",
    MetricKind.GAUGE,
    (),
    "Time since the oldest expired photo, result or upload should have been deleted; 0 if none.",
)
REQUESTS = Metric(
    "smart_filter_request_seconds",
    MetricKind.HISTOGRAM,
    ("method", "route", "status"),
    "Duration from the request line to the last byte of the response, in this API process.",
)
LIVE_CONNECTIONS = Metric(
    "smart_filter_live_connections",
    MetricKind.GAUGE,
    (),
    "Live video clients connected to this live worker.",
)
LIVE_FRAMES = Metric(
    "smart_filter_live_frames_total",
    MetricKind.COUNTER,
    ("outcome",),
    "Live video frames by outcome: shown, dropped for a newer frame, refused.",
)
LIVE_FRAME = Metric(
    "smart_filter_live_frame_seconds",
    MetricKind.HISTOGRAM,
    (),
    "Duration from the arrival of a frame to the last byte of its answer, for shown frames.",
)

# Metrics of the API, then of a live worker.
METRICS = (
    DATABASE_UP,
    BROKER_UP,
    STAGES,
    OLDEST_WAIT,
    PAUSED,
    STEPS,
    ATTEMPTS,
    RETRIES,
    RELEASES,
    LEASE_EXPIRIES,
    DEAD_LETTERS,
    BATCH_SIZE,
    WORKERS,
    JOBS_ENDED,
    WEBHOOK_LAG,
    RETENTION_LAG,
    REQUESTS,
)
LIVE_METRICS = (LIVE_CONNECTIONS, LIVE_FRAMES, LIVE_FRAME)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    labels: values of the metric's labels, in the metric's order.
    suffix: `_sum`, `_count` or `_bucket`, for summaries and histograms.
    at_most: upper bound of a bucket.
    """

    value: float
    labels: tuple[str, ...] = ()
    suffix: str = ""
    at_most: str | None = None


def render(samples: Mapping[Metric, Iterable[Sample]]) -> str:
    """Return the text of every metric and its samples, including metrics without samples."""
    return "".join(f"{line}\n" for metric in samples for line in _lines(metric, samples[metric]))


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterable[str]:
    yield f"# HELP {metric.name} {metric.meaning}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in samples:
        pairs = list(zip(metric.labels, sample.labels, strict=True))
        if sample.at_most is not None:
            pairs.append(("le", sample.at_most))
        labels = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in pairs)
        braced = f"{{{labels}}}" if labels else ""
        yield f"{metric.name}{sample.suffix}{braced} {sample.value!r}"
