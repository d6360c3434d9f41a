"""The operator's overview of the service: queues, workers, lags and recent failures."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared import installation
from smart_filter_shared.artifacts import retention
from smart_filter_shared.db.read_only import is_read_only
from smart_filter_shared.operations import counters, dead_letters, queue_stats, worker_stats
from smart_filter_shared.operations.dead_letters import FailureCount
from smart_filter_shared.operations.queue_stats import QueueStats
from smart_filter_shared.operations.worker_stats import WorkerInfo
from smart_filter_shared.tenants import quotas

# How far back failures are listed, how many groups of them, and the bound of counted jobs.
_FAILURE_WINDOW: Final = dt.timedelta(hours=1)
_MAX_FAILURES: Final = 50
_MAX_UNFINISHED: Final = 1_000_000
_CELL = text("SELECT statement_timestamp() AS now, swept_at FROM cells WHERE name = :cell")


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the service at one moment.

    now: by the database's clock.
    swept_at: time of the last sweep.
    unfinished: number of jobs, counted up to a million.
    problems: failure counts of the last hour.
    retention_lag_seconds: how long the deletion of the oldest object is overdue.
    bucket_fault: why orphaned objects are not deleted; None when they are.
    read_only: whether the database accepts no writes.
    """

    now: dt.datetime
    swept_at: dt.datetime
    queues: Sequence[QueueStats]
    workers: Sequence[WorkerInfo]
    unfinished: int
    webhook_lag_seconds: float
    problems: Sequence[FailureCount]
    retention_lag_seconds: float = 0.0
    bucket_fault: str | None = None
    read_only: bool = False


def read(connection: Connection, *, cell: str, silent_seconds: float) -> Overview:
    """Read and return the overview; ended jobs are not read."""
    clock = connection.execute(_CELL, {"cell": cell}).one()
    return Overview(
        now=clock.now,
        swept_at=clock.swept_at,
        queues=queue_stats.list_queues(connection, silent_seconds=silent_seconds),
        workers=worker_stats.list_workers(connection, silent_seconds=silent_seconds),
        unfinished=quotas.count_all_unfinished(connection, most=_MAX_UNFINISHED),
        webhook_lag_seconds=counters.webhook_lag_seconds(connection),
        retention_lag_seconds=retention.lag_seconds(connection),
        bucket_fault=installation.read_fault(connection),
        read_only=is_read_only(connection),
        problems=dead_letters.list_since(
            connection, clock.now - _FAILURE_WINDOW, most=_MAX_FAILURES
        ),
    )
