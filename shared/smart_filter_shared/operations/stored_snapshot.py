"""The stored queue snapshot: the sweep makes one for all API processes, which read one row.

A snapshot costs as much with one client that polls as with thousands, and no request waits for
one. Without a worker no sweep runs: the row then keeps the last snapshot, in which nothing moves.
"""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, text

from smart_filter_shared.eta import snapshot, stage_times
from smart_filter_shared.eta.snapshot import QueueSnapshot
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.telemetry.logs import logger

# Share of time that making snapshots may take: a snapshot of 50 ms is made each second, a slower
# one less often.
_MAX_TIME_SHARE: Final = 0.05
_IS_DUE = text("""
    SELECT NOT EXISTS (
        SELECT FROM queue_snapshots
        WHERE made_at > statement_timestamp() - make_interval(secs => seconds / :share)
    )
""")
_WRITE = text("""
    INSERT INTO queue_snapshots (made_at, seconds, content)
    VALUES (:made_at, :seconds, :content)
    ON CONFLICT (is_only) DO UPDATE SET
        made_at = excluded.made_at, seconds = excluded.seconds, content = excluded.content
""")
# The content is left out when the caller has it already.
_READ = text("""
    SELECT made_at, extract(epoch FROM statement_timestamp() - made_at) AS age_seconds,
        CASE WHEN made_at IS DISTINCT FROM CAST(:cached_at AS timestamptz) THEN content END
            AS content
    FROM queue_snapshots
""")
_log = logger("eta")


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """The last snapshot of the queues.

    made_at: by the database's clock.  age_seconds: at the time of reading.
    queues: None when the caller knows it already.
    """

    made_at: dt.datetime
    age_seconds: float
    queues: QueueSnapshot | None


def publish(
    connection: Connection,
    *,
    silent_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Make and store a snapshot if one is due; return whether it was.

    silent_seconds: a worker without a heartbeat for this long counts as dead.
    clock: monotonic seconds.
    """
    if not connection.scalar(_IS_DUE, {"share": _MAX_TIME_SHARE}):
        return False
    made_at, began = connection.scalar(text("SELECT statement_timestamp()")), clock()
    assert isinstance(made_at, dt.datetime)
    queues = snapshot.read_snapshot(
        connection, silent_seconds=silent_seconds, now=dt.datetime.now(dt.UTC)
    )
    cards = [model.card for model in published_models.list_models(connection)]
    queues = replace(queues, paces=stage_times.add_defaults(queues.paces, cards))
    row = {"made_at": made_at, "content": encode(queues)}
    connection.execute(_WRITE, {**row, "seconds": clock() - began})
    return True


def read_snapshot(
    connection: Connection, *, cached_at: dt.datetime | None
) -> StoredSnapshot | None:
    """Return the stored snapshot; None when no sweep has made one that this version can read.

    cached_at: when the snapshot was made that the caller has; its content is not read again.
    """
    row = connection.execute(_READ, {"cached_at": cached_at}).one_or_none()
    if row is None:
        return None
    queues = None
    if row.content is not None:
        try:
            queues = decode(row.content)
        except ValidationError as error:
            # Another version's sweep; estimates are coarse until all processes are of one version.
            _log.info("snapshot_unreadable", errors=error.error_count())
            return None
    return StoredSnapshot(row.made_at, float(row.age_seconds), queues)


def encode(queues: QueueSnapshot) -> str:
    """Return a snapshot as JSON."""
    return _codec().dump_json(queues).decode()


def decode(content: str) -> QueueSnapshot:
    """Return the snapshot that `encode` wrote.  Raises ValidationError."""
    return _codec().validate_json(content)


@cache
def _codec() -> TypeAdapter[QueueSnapshot]:
    return TypeAdapter(QueueSnapshot)
