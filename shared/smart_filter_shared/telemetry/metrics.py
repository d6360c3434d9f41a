"""Every metric: its name, kind, unit, labels and meaning; what /metrics shows is this table.

No label holds a tenant, a job or a key. What workers do is added up in the database and
shown whole by every API process: it survives restarts, and one scrape sees all workers.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be done with a metric's values.

    gauge: as it is now.  counter: only grows.  summary: a sum and how many were added up.
    histogram: a summary, and how many were at most so much.
    """

    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"
    HISTOGRAM = "histogram"


class Step(StrEnum):
    """What a worker spends its time on.

    claim: asking the database for work, found or not.  load: inputs from storage, decoded.
    infer: the stage's own code, shared out over its batch.  store: results into storage.
    """

    CLAIM = "claim"
    LOAD = "load"
    INFER = "infer"
    STORE = "store"


class FrameOutcome(StrEnum):
    """What became of a frame of live video.

    shown: it was answered.  dropped: a newer one came before its turn.  refused: it was too
    large, or no picture.
    """

    SHOWN = "shown"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; labels: what its values are told apart by."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str


DATABASE_UP = Metric(
    "smart_filter_database_up",
    Kind.GAUGE,
    "1 or 0",
    (),
    "Whether the database answers and takes writes; while not, all but requests are missing.",
)
STAGES = Metric(
    "smart_filter_stages",
    Kind.GAUGE,
    "stages",
    ("capability", "state"),
    "Stages that are waiting (for other stages or for their time), ready, or running.",
)
OLDEST_WAIT = Metric(
    "smart_filter_oldest_wait_seconds",
    Kind.GAUGE,
    "seconds",
    ("capability",),
    "How long that stage has been ready which has been ready longest; 0 when none is.",
)
PAUSED = Metric(
    "smart_filter_paused",
    Kind.GAUGE,
    "1 or 0",
    ("capability",),
    "1 while an operator lets nobody claim from the queue (`smart-filter queues pause`).",
)
STEPS = Metric(
    "smart_filter_step_seconds",
    Kind.SUMMARY,
    "seconds",
    ("capability", "step"),
    "What workers spent on a step: claim (once a claim), load, infer and store (once a stage).",
)
ATTEMPTS = Metric(
    "smart_filter_attempts_total",
    Kind.COUNTER,
    "stages",
    ("capability",),
    "Stages that were claimed.",
)
RETRIES = Metric(
    "smart_filter_retries_total",
    Kind.COUNTER,
    "stages",
    ("capability",),
    "Attempts that raised: the stage is tried again, or was on its last one.",
)
RELEASES = Metric(
    "smart_filter_releases_total",
    Kind.COUNTER,
    "stages",
    ("capability",),
    "Attempts handed back because storage or database was away.",
)
LEASE_EXPIRIES = Metric(
    "smart_filter_lease_expiries_total",
    Kind.COUNTER,
    "stages",
    ("capability",),
    "Leases taken away from workers that were not heard from.",
)
JOBS_ENDED = Metric(
    "smart_filter_jobs_ended_total",
    Kind.COUNTER,
    "jobs",
    ("outcome",),
    "Ends of jobs that succeeded, failed or were canceled, each counted within a second or two; "
    "a job that is redriven before that has its next end counted alone.",
)
DEAD_LETTERS = Metric(
    "smart_filter_dead_letters_total",
    Kind.COUNTER,
    "stages",
    ("capability",),
    "Stages that failed for good though nothing was found wrong with their photos: attempts "
    "spent, a photo that stops its workers, or storage or database away for too long.",
)
BATCH_SIZE = Metric(
    "smart_filter_batch_size",
    Kind.SUMMARY,
    "stages",
    ("capability",),
    "How many stages were claimed at once, to run together.",
)
WORKERS = Metric(
    "smart_filter_workers",
    Kind.GAUGE,
    "workers",
    ("capability", "state"),
    "Workers that are starting, ready, busy, draining, unhealthy or setup_failed.",
)
WEBHOOK_LAG = Metric(
    "smart_filter_webhook_lag_seconds",
    Kind.GAUGE,
    "seconds",
    (),
    "How long that delivery has been due which nobody has begun to send; 0 when none is.",
)
RETENTION_LAG = Metric(
    "smart_filter_retention_lag_seconds",
    Kind.GAUGE,
    "seconds",
    (),
    "How long the oldest photo, result or upload is overdue that should be gone; 0 when none is.",
)
REQUESTS = Metric(
    "smart_filter_request_seconds",
    Kind.HISTOGRAM,
    "seconds",
    ("method", "route", "status"),
    "From a request's first line to the last byte of its answer, in this API process.",
)
LIVE_CONNECTIONS = Metric(
    "smart_filter_live_connections",
    Kind.GAUGE,
    "connections",
    (),
    "Clients of live video that are connected to this live worker.",
)
LIVE_FRAMES = Metric(
    "smart_filter_live_frames_total",
    Kind.COUNTER,
    "frames",
    ("outcome",),
    "Frames of live video that were shown, dropped for newer ones, or refused.",
)
LIVE_FRAME = Metric(
    "smart_filter_live_frame_seconds",
    Kind.HISTOGRAM,
    "seconds",
    (),
    "From the arrival of a frame that was shown to the last byte of its answer.",
)
CELL_UP = Metric(
    "smart_filter_cell_up",
    Kind.GAUGE,
    "1 or 0",
    ("cell",),
    "Whether a cell answers this cell router; while it does not, its tenants are told 503.",
)
PASSED = Metric(
    "smart_filter_passed_seconds",
    Kind.SUMMARY,
    "seconds",
    ("cell", "status"),
    "From a request's head to the last byte of its answer, in this cell router.",
)

# Of the API, of each live worker, and of each cell router.
METRICS = (
    DATABASE_UP,
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
ROUTER_METRICS = (CELL_UP, PASSED)
