"""Retention of artifacts: every object that a row names is an artifact with an expiry time.

Photos and intermediates are kept for a day, results for a week, or as long as the tenant's
settings say; the times are written into the job when it is submitted. An artifact is first marked
and committed, then its object is deleted, then its row: an unmarked row always has its object.
Several processes share the work: each claims a page of marked rows under a lease, and the page of
a dead process is claimed again when the lease ends. Orphaned objects (a crash between storing and
committing) are found by listing the object store by day.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.db import driver_queries
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.storage.keys import tenant_of

# How long an Idempotency-Key is kept.
IDEMPOTENCY_KEY_HOURS = 24
# Bounds how long a page stays claimed by a dead process. A page takes a second or two, and one
# storage request at most ten seconds.
LEASE_SECONDS: Final = 60.0
# An expired artifact that a job still needs is checked again after the time it has been held so
# far, within these bounds in seconds. It outlives such a job by at most ten minutes, and is checked
# a few times instead of every second.
MAX_RECHECK_SECONDS: Final = 600.0
MIN_RECHECK_SECONDS: Final = 1.0
# The same for training material with consent. Only the deletion of its job ends the consent, and
# the deletion marks the artifact itself, so one check a day is enough.
_MATERIAL_RECHECK_SECONDS: Final = 24 * 3600.0

# The expires_at of an artifact or upload that a job still needs.
CHECKED_AGAIN: Final = f"""
    statement_timestamp() + least(
        interval '{MAX_RECHECK_SECONDS} s', greatest(
            interval '{MIN_RECHECK_SECONDS} s',
            statement_timestamp() - coalesce(held_since, expires_at)
        )
    )
"""

# A held artifact gets a later expires_at and so leaves the head of the index: otherwise every pass
# would read all held artifacts again.
_MARK_EXPIRED = text(f"""
    WITH due AS MATERIALIZED (
        SELECT tenant, key, job_id FROM artifacts
        WHERE marked_at IS NULL AND expires_at <= statement_timestamp()
        ORDER BY expires_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), needed AS MATERIALIZED (
        SELECT tenant, key, EXISTS (
            SELECT FROM jobs WHERE jobs.id = due.job_id AND jobs.outcome IS NULL
        ) OR EXISTS (
            SELECT FROM borrowers JOIN jobs ON jobs.id = borrowers.job_id
            WHERE borrowers.tenant = due.tenant AND borrowers.key = due.key
                AND jobs.outcome IS NULL
        ) OR EXISTS (
            -- A take composes its photo of those of its batch.
            SELECT FROM jobs JOIN batches ON batches.id = jobs.batch_id
            JOIN jobs AS takes ON takes.id = batches.take_id
            WHERE jobs.id = due.job_id AND takes.outcome IS NULL
        ) AS by_job, EXISTS (
            SELECT FROM corrections
            WHERE corrections.job_id = due.job_id AND corrections.key = due.key
                AND corrections.consent
        ) OR EXISTS (
            SELECT FROM data_items
            WHERE data_items.job_id = due.job_id AND due.key = ANY(data_items.keys)
        ) AS as_material
        FROM due
    )
    UPDATE artifacts SET
        marked_at = CASE WHEN NOT by_job AND NOT as_material THEN statement_timestamp() END,
        held_since = CASE WHEN by_job OR as_material THEN coalesce(held_since, expires_at) END,
        expires_at = CASE
            WHEN by_job THEN {CHECKED_AGAIN}
            WHEN as_material THEN statement_timestamp() + make_interval(secs => :material)
            ELSE expires_at
        END
    FROM needed
    WHERE artifacts.tenant = needed.tenant AND artifacts.key = needed.key
""")  # noqa: S608 - SQL of our own


def claim_marked(table: str) -> TextClause:
    """Return the statement that claims marked rows of `artifacts` or `uploads`."""
    return text(f"""
        WITH unclaimed AS MATERIALIZED (
            SELECT tenant, key FROM {table}
            WHERE marked_at IS NOT NULL
                AND (leased_until IS NULL OR leased_until <= statement_timestamp())
            ORDER BY marked_at LIMIT :most
            FOR UPDATE SKIP LOCKED
        )
        UPDATE {table} SET leased_until = statement_timestamp() + interval '{LEASE_SECONDS} s'
        FROM unclaimed WHERE {table}.tenant = unclaimed.tenant AND {table}.key = unclaimed.key
        RETURNING {table}.tenant, {table}.key
    """)  # noqa: S608 - names of our own


_CLAIM = claim_marked("artifacts")
# Marked rows read to measure the lag: the deletion of a large tenant marks millions. Expired rows
# are marked in the order of their expiry, so the oldest is among the first.
_FIRST_MARKED: Final = 1000
# Each subquery reads the start of an index. Held artifacts have a later expires_at, so they do not
# count. A deleted artifact is marked before it expires, and overdue from that moment.
_OLDEST_OVERDUE = text("""
    SELECT extract(epoch FROM statement_timestamp() - least(
        (SELECT min(expires_at) FROM artifacts WHERE marked_at IS NULL),
        (SELECT min(least(expires_at, marked_at)) FROM (
            SELECT expires_at, marked_at FROM artifacts
            WHERE marked_at IS NOT NULL ORDER BY marked_at LIMIT :most
        ) AS first),
        (SELECT min(expires_at) FROM uploads WHERE marked_at IS NULL),
        (SELECT min(least(expires_at, marked_at)) FROM (
            SELECT expires_at, marked_at FROM uploads
            WHERE marked_at IS NOT NULL ORDER BY marked_at LIMIT :most
        ) AS first)
    ))
""")


class ArtifactKind(StrEnum):
    """The kind of an artifact, which decides its TTL."""

    PHOTO = "photo"
    INTERMEDIATE = "intermediate"
    RESULT = "result"


# With `keep_nothing`: lifetime of results that are never downloaded.
MAX_UNFETCHED_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long artifacts are kept, in seconds.

    nothing: whether everything is deleted once all outputs have been downloaded (expiry.py).
    """

    input_seconds: float
    result_seconds: float
    nothing: bool = False

    def seconds(self, kind: ArtifactKind) -> float:
        """Return the TTL of an artifact kind in seconds."""
        return self.result_seconds if kind == ArtifactKind.RESULT else self.input_seconds


@dataclass(frozen=True, slots=True)
class RetentionOverrides:
    """The retention overrides of one tenant; None: the value of the settings applies."""

    input_seconds: float | None = None
    result_seconds: float | None = None
    nothing: bool = False

    def within(self, usual: RetentionPolicy) -> RetentionPolicy:
        """Return the retention of jobs that the tenant submits now."""
        inputs = usual.input_seconds if self.input_seconds is None else self.input_seconds
        results = usual.result_seconds if self.result_seconds is None else self.result_seconds
        if self.nothing:
            inputs = min(inputs, MAX_UNFETCHED_SECONDS)
            results = min(results, MAX_UNFETCHED_SECONDS)
        return RetentionPolicy(inputs, results, self.nothing)


@dataclass(frozen=True, slots=True)
class MarkedArtifact:
    """An artifact that is not given out any more and whose object is to be deleted."""

    tenant: Tenant
    key: str


def insert_artifacts(made: str) -> str:
    """Return the SQL that inserts the artifact rows of objects that this transaction's rows name.

    made: a query of (tenant, key, job_id, kind, length, kept_seconds); length: in bytes.
    """
    return f"""
        INSERT INTO artifacts (tenant, key, job_id, kind, length, expires_at)
        SELECT tenant, key, job_id, kind, length,
            statement_timestamp() + make_interval(secs => kept_seconds)
        FROM ({made}) AS made
    """  # noqa: S608 - queries of our own


_AVAILABLE = text("""
    SELECT key FROM artifacts
    WHERE tenant = :tenant AND key = :key AND marked_at IS NULL
        AND held_since IS NULL AND expires_at > statement_timestamp()
""")
_RECORD = text(
    insert_artifacts("""
        SELECT :tenant AS tenant, key, CAST(:job_id AS uuid) AS job_id, CAST(:kind AS text) AS kind,
            length, CAST(:kept_seconds AS float8) AS kept_seconds
        FROM unnest(CAST(:keys AS text[]), CAST(:lengths AS bigint[])) AS object (key, length)
    """)
)


def record(
    connection: Connection,
    tenant: Tenant,
    job_id: JobId,
    lengths: Mapping[str, int],
    *,
    kind: ArtifactKind,
    retention: RetentionPolicy,
) -> None:
    """Insert the artifact rows of objects that this transaction's rows name.

    lengths: in bytes, by key.
    """
    connection.execute(
        _RECORD,
        {
            "tenant": tenant,
            "job_id": job_id,
            "keys": list(lengths),
            "lengths": list(lengths.values()),
            "kind": kind,
            "kept_seconds": retention.seconds(kind),
        },
    )


def mark_expired(connection: Connection, *, most: int) -> int:
    """Mark expired artifacts, at most `most`; return the number of rows checked.

    An artifact that an unfinished job needs, or that is training material with consent, is held:
    it stays, is not given out, and is checked again later.
    """
    where = {"most": most, "material": _MATERIAL_RECHECK_SECONDS}
    return connection.execute(_MARK_EXPIRED, where).rowcount


def claim(connection: Connection, *, most: int) -> list[MarkedArtifact]:
    """Claim marked artifacts for LEASE_SECONDS, the oldest marks first; return them.

    The claiming process deletes their objects and then their rows.
    """
    return [read_row(MarkedArtifact, row) for row in connection.execute(_CLAIM, {"most": most})]


def lag_seconds(connection: Connection) -> float:
    """Return the age in seconds of the oldest overdue artifact or upload; 0 without any.

    An artifact is overdue when it has expired and is not held, or is marked, and still exists.
    """
    seconds = connection.execute(_OLDEST_OVERDUE, {"most": _FIRST_MARKED}).scalar_one()
    return 0.0 if seconds is None else max(0.0, float(seconds))


def delete_old_requests(connection: Connection, *, most: int) -> int:
    """Delete requests whose Idempotency-Key has expired, at most `most`; return their number."""
    return connection.execute(
        text("""
            DELETE FROM requests USING (
                SELECT tenant, key FROM requests
                WHERE claimed_at < statement_timestamp() - make_interval(hours => :hours)
                ORDER BY claimed_at LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) AS old
            WHERE requests.tenant = old.tenant AND requests.key = old.key
        """),
        {"most": most, "hours": IDEMPOTENCY_KEY_HOURS},
    ).rowcount


def delete_rows(connection: Connection, removed: Collection[MarkedArtifact]) -> None:
    """Delete the rows of artifacts whose objects are gone."""
    connection.execute(
        text("""
            WITH gone AS MATERIALIZED (
                SELECT tenant, key FROM artifacts JOIN unnest(
                    CAST(:tenants AS text[]), CAST(:keys AS text[])
                ) AS removed (tenant, key) USING (tenant, key)
                ORDER BY tenant, key
                FOR UPDATE OF artifacts
            ), given_back AS (
                DELETE FROM borrowers USING gone
                WHERE borrowers.tenant = gone.tenant AND borrowers.key = gone.key
            )
            DELETE FROM artifacts USING gone
            WHERE artifacts.tenant = gone.tenant AND artifacts.key = gone.key
        """),
        {
            "tenants": [artifact.tenant for artifact in removed],
            "keys": [artifact.key for artifact in removed],
        },
    )


def is_available(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Return whether an artifact may be given out."""
    return bool(driver_queries.fetch_rows(connection, _AVAILABLE, {"tenant": tenant, "key": key}))


def is_unmarked(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Return whether an artifact exists, expired or not: an unfinished job keeps its inputs."""
    result = connection.execute(
        text("""
            SELECT FROM artifacts WHERE tenant = :tenant AND key = :key AND marked_at IS NULL
        """),
        {"tenant": tenant, "key": key},
    )
    return result.one_or_none() is not None


def unreferenced(connection: Connection, keys: Collection[str]) -> list[str]:
    """Return the keys that no row names."""
    rows = connection.execute(
        text("""
            SELECT key
            FROM unnest(CAST(:tenants AS text[]), CAST(:keys AS text[])) AS stored (tenant, key)
            WHERE NOT EXISTS (
                SELECT FROM artifacts
                WHERE artifacts.tenant = stored.tenant AND artifacts.key = stored.key
            ) AND NOT EXISTS (SELECT FROM uploads WHERE uploads.key = stored.key)
        """),
        {"tenants": [tenant_of(key) for key in keys], "keys": list(keys)},
    )
    return [row.key for row in rows]
