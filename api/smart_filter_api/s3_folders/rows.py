"""Rows of the objects that S3 folders have taken: taking, claiming and finishing them.

A row belongs to a bucket and a key, and holds the version that was taken last. It is written in
the transaction that inserts the version's job, so each version becomes one job.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import JobId, Tenant

# Longer than an upload of a result takes. A newer version is written after the lease of an older.
_LEASE_SECONDS: Final = 120
# After a failed write: 5 s, doubled each time.
_FIRST_WAIT_SECONDS: Final = 5.0
_LONGEST_WAIT_SECONDS: Final = 600.0
_MAX_DETAIL_CHARACTERS: Final = 1000

_VERSIONS = text("SELECT key, version FROM s3_objects WHERE bucket = :bucket AND key = ANY(:keys)")
_TAKE = text("""
    INSERT INTO s3_objects (bucket, key, version, tenant, job_id, target, code, detail, due_at)
    VALUES (
        :bucket, :key, :version, :tenant, :job_id, :target, :code, :detail, statement_timestamp()
    )
    ON CONFLICT (bucket, key) DO UPDATE SET
        version = excluded.version, tenant = excluded.tenant, job_id = excluded.job_id,
        target = excluded.target, code = excluded.code, detail = excluded.detail,
        state = 'pending', attempt = 0, due_at = greatest(s3_objects.due_at, excluded.due_at)
    WHERE s3_objects.version = CAST(:before AS text)
    RETURNING key
""")
_FORGET = text("""
    DELETE FROM s3_objects WHERE bucket = :bucket AND key = :key AND state <> 'pending'
""")
_CLAIM = text("""
    UPDATE s3_objects AS object SET
        attempt = attempt + 1,
        due_at = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM (
        SELECT waiting.bucket, waiting.key FROM s3_objects AS waiting
        WHERE waiting.state = 'pending' AND waiting.due_at <= statement_timestamp()
            AND NOT EXISTS (
                SELECT FROM jobs
                WHERE jobs.id = waiting.job_id AND jobs.finished_at IS NULL
            )
        ORDER BY waiting.due_at LIMIT :most
        FOR UPDATE OF waiting SKIP LOCKED
    ) AS due
    WHERE object.bucket = due.bucket AND object.key = due.key
    RETURNING object.bucket, object.key, version, tenant, job_id, target, result, code, detail,
        attempt
""")
# Two objects whose results have one name wait for each other; else the later would violate the
# constraint, since neither sees what the other has not committed.
_LOCK_RESULT = text("SELECT pg_advisory_xact_lock(hashtextextended('result ' || :result, 0))")
_RESERVE = text("""
    UPDATE s3_objects SET result = :result
    WHERE bucket = :bucket AND key = :key AND version = :version
        AND NOT EXISTS (
            SELECT FROM s3_objects AS other WHERE other.result = :result
                AND (other.bucket, other.key) <> (:bucket, :key)
        )
    RETURNING key
""")
_FINISH = text("""
    UPDATE s3_objects SET
        state = CASE WHEN version = :version THEN :state ELSE state END,
        code = CASE WHEN version = :version THEN :code ELSE code END,
        detail = CASE WHEN version = :version THEN :detail ELSE detail END,
        due_at = statement_timestamp() + make_interval(secs => :wait_seconds)
    WHERE bucket = :bucket AND key = :key AND state = 'pending'
""")
# Jobs that operators ran again after they had failed.
_REOPEN = text("""
    UPDATE s3_objects SET state = 'pending', attempt = 0, due_at = statement_timestamp(),
        code = NULL, detail = NULL
    FROM jobs
    WHERE s3_objects.state = 'failed' AND jobs.id = job_id AND s3_objects.bucket = :bucket
        AND (
            jobs.finished_at IS NULL
            OR jobs.outcome = 'succeeded'
                AND s3_objects.code NOT IN ('name_taken', 'output_expired')
        )
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A version of an object, the place of its result, and its job or why it has none.

    target: bucket and key, joined by a slash, with the source's own extension.
    before: the version in the object's row before it was read; None without a row.
    """

    bucket: str
    key: str
    version: str
    tenant: Tenant
    target: str
    job_id: JobId | None = None
    code: str | None = None
    detail: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A taken object whose outcome must be written now.

    result: what was written last, as bucket and key; None: nothing yet.  attempt: 1 for the first.
    """

    taken: Taken
    result: str | None
    attempt: int


def find_versions(connection: Connection, bucket: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the version that was taken last of each of these keys that has one."""
    rows = connection.execute(_VERSIONS, {"bucket": bucket, "keys": list(keys)})
    return {row.key: row.version for row in rows}


def take(connection: Connection, taken: Taken) -> bool:
    """Write the row of a version; return False when it has changed since `before` was read.

    So the bytes that were read first never replace a version that was taken meanwhile.
    """
    return connection.execute(_TAKE, asdict(taken)).one_or_none() is not None


def forget(connection: Connection, bucket: str, key: str) -> None:
    """Delete the row of an object that is gone, unless its outcome is still to be written."""
    connection.execute(_FORGET, {"bucket": bucket, "key": key})


def claim(connection: Connection, *, most: int) -> list[Due]:
    """Claim and return objects whose jobs have ended, or that have none."""
    rows = connection.execute(_CLAIM, {"most": most, "lease_seconds": _LEASE_SECONDS})
    return [Due(read_row(Taken, row), row.result, row.attempt) for row in rows]


def reserve(connection: Connection, taken: Taken, result: str) -> bool:
    """Reserve the name of a result; return False when another object's result has that name."""
    connection.execute(_LOCK_RESULT, {"result": result})
    where = {"bucket": taken.bucket, "key": taken.key, "version": taken.version}
    return connection.execute(_RESERVE, {**where, "result": result}).one_or_none() is not None


def finish(connection: Connection, taken: Taken, *, code: str | None, detail: str | None) -> None:
    """Record that an outcome was written; a newer version of the object becomes due at once."""
    state = "written" if code is None else "failed"
    _conclude(connection, taken, state=state, code=code, detail=detail)


def retry_later(connection: Connection, due: Due, detail: str) -> float:
    """Make an object due again after a failed write; return the seconds until then."""
    wait_seconds = min(_FIRST_WAIT_SECONDS * 2.0 ** min(due.attempt - 1, 30), _LONGEST_WAIT_SECONDS)
    taken = due.taken
    _conclude(
        connection,
        taken,
        state="pending",
        code=taken.code,
        detail=taken.detail if taken.code else detail,
        wait_seconds=wait_seconds,
    )
    return wait_seconds


def reopen_redriven(connection: Connection, bucket: str) -> None:
    """Await the jobs of failed objects of a bucket that run again."""
    connection.execute(_REOPEN, {"bucket": bucket})


def _conclude(
    connection: Connection,
    taken: Taken,
    *,
    state: str,
    code: str | None,
    detail: str | None,
    wait_seconds: float = 0.0,
) -> None:
    connection.execute(
        _FINISH,
        {
            "bucket": taken.bucket,
            "key": taken.key,
            "version": taken.version,
            "state": state,
            "code": code,
            "detail": None if detail is None else detail[:_MAX_DETAIL_CHARACTERS],
            "wait_seconds": wait_seconds,
        },
    )
