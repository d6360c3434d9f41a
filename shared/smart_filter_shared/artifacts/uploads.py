"""Presigned uploads: photos that clients put directly into the object store, for jobs to import.

A row is written before the link is returned, with the media type and length that may be put. A job
that names an upload stores its ETag at that time. `prepare` copies exactly these bytes to the job's
own key, so several jobs may name one upload, and a later PUT changes none of them. An upload is
deleted when it has expired and no job still has to import it, or when the last job that names it
is deleted.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import retention
from smart_filter_shared.artifacts.retention import MarkedArtifact
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import JobId, Tenant, UploadId
from smart_filter_shared.storage import keys

# How long the link is valid, and how long jobs may name the upload.
LIFETIME_SECONDS: Final = 3600
# Extra time before an expired upload is marked: longer than a submission that named it just in
# time takes to commit.
_GRACE_SECONDS: Final = 60

_INSERT = text("""
    INSERT INTO uploads (id, tenant, key, media_type, length, expires_at)
    VALUES (:id, :tenant, :key, :media_type, :length,
        statement_timestamp() + make_interval(secs => :seconds))
    RETURNING expires_at
""")
_FIND = text("""
    SELECT tenant, media_type, length, expires_at FROM uploads
    WHERE id = :id AND (tenant = :tenant OR CAST(:tenant AS text) IS NULL) AND marked_at IS NULL
        AND held_since IS NULL AND expires_at > statement_timestamp()
""")
# FOR SHARE makes `mark_expired` wait until the job that names the upload is committed.
_LOCK = text("""
    SELECT FROM uploads
    WHERE id = :id AND tenant = :tenant AND marked_at IS NULL
        AND held_since IS NULL AND expires_at > statement_timestamp()
    FOR SHARE
""")
# A held upload gets a later expires_at, as artifacts do (retention.py).
_MARK_EXPIRED = text(f"""
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
            WHEN by_job THEN {retention.CHECKED_AGAIN}
            ELSE expires_at
        END
    FROM needed WHERE uploads.id = needed.id
""")  # noqa: S608 - SQL of our own
_CLAIM = retention.claim_marked("uploads")
_MARK = text("""
    UPDATE uploads SET marked_at = coalesce(marked_at, statement_timestamp()) WHERE id = :id
""")
# The lock comes before the check: of two jobs deleted at once, one sees that the other is gone.
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
_LOCK_UNNEEDED = text("""
    SELECT id FROM uploads
    WHERE id IN (SELECT upload_id FROM jobs WHERE id = ANY(:job_ids) AND keep_nothing)
    ORDER BY id FOR UPDATE
""")
_MARK_UNNEEDED = text("""
    UPDATE uploads SET marked_at = coalesce(marked_at, statement_timestamp())
    WHERE id = ANY(:ids) AND NOT EXISTS (
        SELECT FROM jobs
        WHERE jobs.upload_id = uploads.id AND photo_key IS NULL AND outcome IS NULL
    )
""")


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that a client may put, until `expires_at`; length: in bytes."""

    id: UploadId
    tenant: Tenant
    media_type: str
    length: int
    expires_at: dt.datetime

    @property
    def key(self) -> str:
        """The object key that the photo is put to."""
        return keys.upload(self.tenant, self.id)


@dataclass(frozen=True, slots=True)
class UploadRef:
    """A job's reference to an upload, with the upload's ETag at submission."""

    id: UploadId
    etag: str


def create(
    connection: Connection, tenant: Tenant, upload_id: UploadId, *, media_type: str, length: int
) -> Upload:
    """Write the row of a new upload, and return the upload."""
    row = connection.execute(
        _INSERT,
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


def find(connection: Connection, upload_id: UploadId, tenant: Tenant | None) -> Upload | None:
    """Return an upload that may be named; None when it does not exist or has expired.

    tenant: whose it must be; None: anyone's.
    """
    row = connection.execute(_FIND, {"id": upload_id, "tenant": tenant}).one_or_none()
    if row is None:
        return None
    return Upload(upload_id, Tenant(row.tenant), row.media_type, row.length, row.expires_at)


def lock(connection: Connection, upload_id: UploadId, tenant: Tenant) -> bool:
    """Lock an upload until this transaction has written the job that names it.

    Returns whether the upload may still be named.
    """
    held = connection.execute(_LOCK, {"id": upload_id, "tenant": tenant})
    return held.one_or_none() is not None


def is_unmarked(connection: Connection, upload_id: UploadId) -> bool:
    """Return whether a job that names an upload can still import it."""
    result = connection.execute(
        text("SELECT FROM uploads WHERE id = :id AND marked_at IS NULL"), {"id": upload_id}
    )
    return result.one_or_none() is not None


def mark(connection: Connection, upload_id: UploadId) -> None:
    """Mark an upload, so that retention deletes it."""
    connection.execute(_MARK, {"id": upload_id})


def mark_expired(connection: Connection, *, most: int) -> int:
    """Mark expired uploads, at most `most`; return the number of rows checked.

    An upload that a job still has to import is held, and checked again later.
    """
    where = {"most": most, "grace_seconds": _GRACE_SECONDS}
    return connection.execute(_MARK_EXPIRED, where).rowcount


def mark_last_reference(connection: Connection, job_id: JobId) -> list[MarkedArtifact]:
    """Mark the upload that a job names, unless another job names it; return it.

    The job is locked and about to be deleted.
    """
    upload = connection.execute(_LOCK_OF_JOB, {"job_id": job_id}).one_or_none()
    if upload is None:
        return []
    rows = connection.execute(_MARK_LAST, {"id": upload.id, "job_id": job_id})
    return [read_row(MarkedArtifact, row) for row in rows]


def mark_unneeded(connection: Connection, job_ids: Collection[JobId]) -> None:
    """Mark the uploads of jobs with `keep_nothing`, unless a job still has to import them.

    The jobs are locked.
    """
    uploads = connection.execute(_LOCK_UNNEEDED, {"job_ids": list(job_ids)}).all()
    if uploads:
        connection.execute(_MARK_UNNEEDED, {"ids": [row.id for row in uploads]})


def claim(connection: Connection, *, most: int) -> list[MarkedArtifact]:
    """Claim marked uploads for LEASE_SECONDS, the oldest marks first; return them."""
    return [read_row(MarkedArtifact, row) for row in connection.execute(_CLAIM, {"most": most})]


def delete_rows(connection: Connection, removed: Collection[MarkedArtifact]) -> None:
    """Delete the rows of uploads whose objects are gone."""
    connection.execute(
        text("DELETE FROM uploads WHERE key = ANY(:keys)"),
        {"keys": [upload.key for upload in removed]},
    )
