"""Uploads: photos that clients put straight into storage, until jobs have taken them.

A row is written before the link is handed out, and says what may be put there. A job that
names an upload notes the ETag that it has by then; `prepare` takes these very bytes to a key of
the job's own, so that several jobs may name one upload, and whatever is put there later changes
none of them. An upload goes when it has expired and no job has still to take it, or with the
last job that names it when that is deleted.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId, Tenant, UploadId
from smart_filter_shared.jobs.retention import (
    LEASE_SECONDS,
    LOOK_AGAIN_LEAST_SECONDS,
    LOOK_AGAIN_SECONDS,
    Marked,
)
from smart_filter_shared.storage import keys

# How long its link is valid, and how long jobs may name it.
LIFETIME_SECONDS: Final = 3600
# Whoever names it just in time commits in less.
_GRACE_SECONDS: Final = 60

_WRITE = text("""
    INSERT INTO uploads (id, tenant, key, media_type, length, expires_at)
    VALUES (:id, :tenant, :key, :media_type, :length,
        statement_timestamp() + make_interval(secs => :seconds))
    RETURNING expires_at
""")
_FIND = text("""
    SELECT media_type, length, expires_at FROM uploads
    WHERE id = :id AND tenant = :tenant AND marked_at IS NULL
        AND held_since IS NULL AND expires_at > statement_timestamp()
""")
# Whoever would mark it waits until the job that names it is there to be seen.
_HOLD = text("""
    SELECT FROM uploads
    WHERE id = :id AND tenant = :tenant AND marked_at IS NULL
        AND held_since IS NULL AND expires_at > statement_timestamp()
    FOR SHARE
""")
# What a job has still to take leaves the head of the index, as artifacts do (retention.py).
_MARK_EXPIRED = text("""
    WITH due AS MATERIALIZED (
        SELECT id FROM uploads
        WHERE marked_at IS NULL
            AND expires_at <= statement_timestamp() - make_interval(secs => :grace_seconds)
        ORDER BY expires_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), needed AS MATERIALIZED (
        SELECT id, EXISTS (
            SELECT FROM jobs
            WHERE jobs.upload_id = due.id AND photo_key IS NULL AND outcome IS NULL
        ) AS by_job
        FROM due
    )
    UPDATE uploads SET
        marked_at = CASE WHEN NOT by_job THEN statement_timestamp() END,
        held_since = CASE WHEN by_job THEN coalesce(held_since, expires_at) END,
        expires_at = CASE
            WHEN by_job THEN statement_timestamp() + least(
                make_interval(secs => :look_again), greatest(
                    make_interval(secs => :least),
                    statement_timestamp() - coalesce(held_since, expires_at)
                )
            )
            ELSE expires_at
        END
    FROM needed WHERE uploads.id = needed.id
""")
_CLAIM = text("""
    WITH unclaimed AS MATERIALIZED (
        SELECT id FROM uploads
        WHERE marked_at IS NOT NULL
            AND (leased_until IS NULL OR leased_until <= statement_timestamp())
        ORDER BY marked_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE uploads
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM unclaimed WHERE uploads.id = unclaimed.id
    RETURNING tenant, key
""")
_MARK = text("""
    UPDATE uploads SET marked_at = coalesce(marked_at, statement_timestamp()) WHERE id = :id
""")
# First locked, then looked at: of two jobs that are deleted at once, one sees the other gone.
_LOCK_OF_JOB = text("""
    SELECT id FROM uploads WHERE id = (SELECT upload_id FROM jobs WHERE id = :job_id) FOR UPDATE
""")
_MARK_LAST = text("""
    UPDATE uploads SET marked_at = coalesce(marked_at, statement_timestamp())
    WHERE id = :id AND NOT EXISTS (
        SELECT FROM jobs WHERE jobs.upload_id = uploads.id AND jobs.id <> :job_id
    )
    RETURNING tenant, key
""")
_LOCK_DELIVERED = text("""
    SELECT id FROM uploads
    WHERE id IN (SELECT upload_id FROM jobs WHERE id = ANY(:job_ids) AND keep_nothing)
    ORDER BY id FOR UPDATE
""")
_MARK_UNWANTED = text("""
    UPDATE uploads SET marked_at = coalesce(marked_at, statement_timestamp())
    WHERE id = ANY(:ids) AND NOT EXISTS (
        SELECT FROM jobs
        WHERE jobs.upload_id = uploads.id AND photo_key IS NULL AND outcome IS NULL
    )
""")


@dataclass(frozen=True, slots=True)
class Upload:
    """What may be put, and until when; length: in bytes."""

    id: UploadId
    tenant: Tenant
    media_type: str
    length: int
    expires_at: dt.datetime

    @property
    def key(self) -> str:
        """Where it is put."""
        return keys.upload(self.tenant, self.id)


@dataclass(frozen=True, slots=True)
class Named:
    """An upload as a job names it: with the ETag that it had then."""

    id: UploadId
    etag: str


def write(
    connection: Connection, tenant: Tenant, upload_id: UploadId, *, media_type: str, length: int
) -> Upload:
    """Say what may be put."""
    row = connection.execute(
        _WRITE,
        {
            "id": upload_id,
            "tenant": tenant,
            "key": keys.upload(tenant, upload_id),
            "media_type": media_type,
            "length": length,
            "seconds": LIFETIME_SECONDS,
        },
    ).one()
    return Upload(upload_id, tenant, media_type, length, row.expires_at)


def find(connection: Connection, upload_id: UploadId, tenant: Tenant) -> Upload | None:
    """Return an upload that a tenant may name; None when it has none such, or it has expired."""
    row = connection.execute(_FIND, {"id": upload_id, "tenant": tenant}).one_or_none()
    if row is None:
        return None
    return Upload(upload_id, tenant, row.media_type, row.length, row.expires_at)


def hold(connection: Connection, upload_id: UploadId, tenant: Tenant) -> bool:
    """Keep an upload until this transaction has written the job that names it.

    Returns whether it still may be named.
    """
    held = connection.execute(_HOLD, {"id": upload_id, "tenant": tenant})
    return held.one_or_none() is not None


def is_there(connection: Connection, upload_id: UploadId) -> bool:
    """Whether a job that names an upload can still take it."""
    found = connection.execute(
        text("SELECT FROM uploads WHERE id = :id AND marked_at IS NULL"), {"id": upload_id}
    )
    return found.one_or_none() is not None


def mark(connection: Connection, upload_id: UploadId) -> None:
    """Let retention remove an upload."""
    connection.execute(_MARK, {"id": upload_id})


def mark_expired(connection: Connection, *, most: int) -> int:
    """Mark what has expired, up to `most` rows; return how many rows were looked at.

    What a job has still to take is held, and looked at again later.
    """
    seconds = {
        "grace_seconds": _GRACE_SECONDS,
        "look_again": LOOK_AGAIN_SECONDS,
        "least": LOOK_AGAIN_LEAST_SECONDS,
    }
    return connection.execute(_MARK_EXPIRED, {"most": most, **seconds}).rowcount


def mark_last_of(connection: Connection, job_id: JobId) -> list[Marked]:
    """Mark the upload that a job names, unless another one does; return it.

    The job is about to be deleted, and locked.
    """
    upload = connection.execute(_LOCK_OF_JOB, {"job_id": job_id}).one_or_none()
    if upload is None:
        return []
    rows = connection.execute(_MARK_LAST, {"id": upload.id, "job_id": job_id})
    return [Marked(Tenant(row.tenant), row.key) for row in rows]


def mark_delivered(connection: Connection, job_ids: Collection[JobId]) -> None:
    """Mark the uploads of jobs of which nothing is to be kept, unless one has still to take them.

    The jobs are locked.
    """
    uploads = connection.execute(_LOCK_DELIVERED, {"job_ids": list(job_ids)}).all()
    if uploads:
        connection.execute(_MARK_UNWANTED, {"ids": [row.id for row in uploads]})


def claim(connection: Connection, *, most: int) -> list[Marked]:
    """Claim marked uploads for LEASE_SECONDS, the oldest marks first; return them."""
    rows = connection.execute(_CLAIM, {"most": most, "lease_seconds": LEASE_SECONDS})
    return [Marked(Tenant(row.tenant), row.key) for row in rows]


def forget(connection: Connection, removed: Collection[Marked]) -> None:
    """Delete the rows of uploads whose objects are gone."""
    connection.execute(
        text("DELETE FROM uploads WHERE key = ANY(:keys)"),
        {"keys": [one.key for one in removed]},
    )
