"""How the service stands now, as whoever runs it asks: what waits, who works, what fails."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared import installation
from smart_filter_shared.db.read_only import is_read_only
from smart_filter_shared.jobs import failures, limits, measures, queues, retention, roster
from smart_filter_shared.jobs.failures import Problem
from smart_filter_shared.jobs.queues import Queue
from smart_filter_shared.jobs.roster import Member

# What failed is told of for so long, or until it is old news.
_RECENTLY: Final = dt.timedelta(hours=1)
_MOST_PROBLEMS: Final = 50
_MOST_UNFINISHED: Final = 1_000_000
_CELL = text("SELECT statement_timestamp() AS now, swept_at FROM cells WHERE name = :cell")


@dataclass(frozen=True, slots=True)
class Standing:
    """How things are.

    now: by the database's clock.  swept_at: when a worker last put right what fell through.
    unfinished: jobs, counted up to a million.  problems: why jobs failed within the last hour.
    retention_lag_seconds: how long the oldest object is overdue that should be gone.
    bucket_fault: why objects that no row names are kept; None when they are removed.
    read_only: whether the database takes no writes.
    """

    now: dt.datetime
    swept_at: dt.datetime
    queues: Sequence[Queue]
    workers: Sequence[Member]
    unfinished: int
    webhook_lag_seconds: float
    problems: Sequence[Problem]
    retention_lag_seconds: float = 0.0
    bucket_fault: str | None = None
    read_only: bool = False


def read(connection: Connection, *, cell: str, silent_seconds: float) -> Standing:
    """Return how things are; what has ended is not looked at."""
    clock = connection.execute(_CELL, {"cell": cell}).one()
    return Standing(
        now=clock.now,
        swept_at=clock.swept_at,
        queues=queues.listed(connection, silent_seconds=silent_seconds),
        workers=roster.listed(connection, silent_seconds=silent_seconds),
        unfinished=limits.unfinished_in_all(connection, most=_MOST_UNFINISHED),
        webhook_lag_seconds=measures.webhook_lag_seconds(connection),
        retention_lag_seconds=retention.lag_seconds(connection),
        bucket_fault=installation.fault(connection),
        read_only=is_read_only(connection),
        problems=failures.since(connection, clock.now - _RECENTLY, most=_MOST_PROBLEMS),
    )
