"""What is kept how long: every object that a row names is an artifact with a day of expiry.

Photos and intermediates are kept for a day, results for a week, or as long as their tenant
wants; a job knows from its submission on. An artifact is marked
first, which is committed; then its object goes, and then its row: whoever finds the row
unmarked finds the object. Objects that no row names (a crash between storing and
committing) are found by listing old days.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.storage.keys import tenant_of

# How long an Idempotency-Key is remembered.
REQUEST_HOURS = 24


class Kind(StrEnum):
    """What an artifact is; it says how long it is kept."""

    PHOTO = "photo"
    INTERMEDIATE = "intermediate"
    RESULT = "result"


# How long what nobody fetches is kept of a tenant that wants nothing kept.
MOST_UNFETCHED_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long artifacts are kept, in seconds.

    nothing: whether all goes as soon as all outputs are handed over (expiry.py).
    """

    input_seconds: float
    result_seconds: float
    nothing: bool = False

    def seconds(self, kind: Kind) -> float:
        """Return how long a kind is kept."""
        return self.result_seconds if kind == Kind.RESULT else self.input_seconds


@dataclass(frozen=True, slots=True)
class OwnKeeping:
    """What is said of one tenant; None: what the settings say."""

    input_seconds: float | None = None
    result_seconds: float | None = None
    nothing: bool = False

    def within(self, usual: Keeping) -> Keeping:
        """Return how long what the tenant submits now is kept."""
        inputs = usual.input_seconds if self.input_seconds is None else self.input_seconds
        results = usual.result_seconds if self.result_seconds is None else self.result_seconds
        if self.nothing:
            inputs = min(inputs, MOST_UNFETCHED_SECONDS)
            results = min(results, MOST_UNFETCHED_SECONDS)
        return Keeping(inputs, results, self.nothing)


@dataclass(frozen=True, slots=True)
class Marked:
    """An artifact that is not given out any more and whose object is to be removed."""

    tenant: Tenant
    key: str


@dataclass(frozen=True, slots=True)
class Made:
    """An object that a row of a job names."""

    job_id: JobId
    key: str
    kind: Kind


def record(
    connection: Connection,
    tenant: Tenant,
    job_id: JobId,
    artifacts: Mapping[str, Kind],
    keeping: Keeping,
) -> None:
    """Write down objects that rows of this transaction name."""
    made = [Made(job_id, key, kind) for key, kind in artifacts.items()]
    record_each(connection, tenant, made, keeping)


def record_each(
    connection: Connection, tenant: Tenant, made: Sequence[Made], keeping: Keeping
) -> None:
    """Write down objects of several jobs of a tenant."""
    if not made:
        return
    connection.execute(
        text("""
            INSERT INTO artifacts (tenant, key, job_id, kind, expires_at)
            SELECT :tenant, key, job_id, kind,
                statement_timestamp() + make_interval(secs => kept_seconds)
            FROM unnest(
                CAST(:job_ids AS uuid[]), CAST(:keys AS text[]), CAST(:kinds AS text[]),
                CAST(:kept AS float8[])
            ) AS made (job_id, key, kind, kept_seconds)
        """),
        {
            "tenant": tenant,
            "job_ids": [one.job_id for one in made],
            "keys": [one.key for one in made],
            "kinds": [str(one.kind) for one in made],
            "kept": [keeping.seconds(one.kind) for one in made],
        },
    )


def mark_expired(connection: Connection, *, most: int) -> None:
    """Mark what has expired and whose jobs have ended: a job that waits keeps what it needs.

    What was drawn to correct a matte stays while somebody consents, and what is learnt from.
    """
    connection.execute(
        text("""
            WITH expired AS MATERIALIZED (
                SELECT tenant, key FROM artifacts
                WHERE marked_at IS NULL AND expires_at <= statement_timestamp() AND NOT EXISTS (
                    SELECT FROM jobs WHERE jobs.id = artifacts.job_id AND jobs.outcome IS NULL
                ) AND NOT EXISTS (
                    SELECT FROM borrowers JOIN jobs ON jobs.id = borrowers.job_id
                    WHERE borrowers.tenant = artifacts.tenant AND borrowers.key = artifacts.key
                        AND jobs.outcome IS NULL
                ) AND NOT EXISTS (
                    SELECT FROM corrections
                    WHERE corrections.job_id = artifacts.job_id
                        AND corrections.key = artifacts.key AND corrections.consent
                ) AND NOT EXISTS (
                    SELECT FROM data_items
                    WHERE data_items.job_id = artifacts.job_id
                        AND artifacts.key = ANY(data_items.keys)
                )
                ORDER BY expires_at LIMIT :most
                FOR UPDATE SKIP LOCKED
            )
            UPDATE artifacts SET marked_at = statement_timestamp()
            FROM expired
            WHERE artifacts.tenant = expired.tenant AND artifacts.key = expired.key
        """),
        {"most": most},
    )


def forget_requests(connection: Connection, *, most: int) -> None:
    """Forget requests whose Idempotency-Key is not kept any more."""
    connection.execute(
        text("""
            DELETE FROM requests USING (
                SELECT tenant, key FROM requests
                WHERE claimed_at < statement_timestamp() - make_interval(hours => :hours)
                ORDER BY claimed_at LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) AS old
            WHERE requests.tenant = old.tenant AND requests.key = old.key
        """),
        {"most": most, "hours": REQUEST_HOURS},
    )


def marked(connection: Connection, *, most: int) -> list[Marked]:
    """Return what is marked, the oldest first."""
    rows = connection.execute(
        text("""
            SELECT tenant, key FROM artifacts WHERE marked_at IS NOT NULL
            ORDER BY marked_at LIMIT :most
        """),
        {"most": most},
    )
    return [Marked(Tenant(row.tenant), row.key) for row in rows]


def forget(connection: Connection, removed: Collection[Marked]) -> None:
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


def is_kept(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Whether an artifact may be given out."""
    found = connection.execute(
        text("""
            SELECT FROM artifacts
            WHERE tenant = :tenant AND key = :key AND marked_at IS NULL
                AND expires_at > statement_timestamp()
        """),
        {"tenant": tenant, "key": key},
    )
    return found.one_or_none() is not None


def is_there(connection: Connection, tenant: Tenant, key: str) -> bool:
    """Whether an artifact is there, be it past its time: a job that waits keeps what it needs."""
    found = connection.execute(
        text("""
            SELECT FROM artifacts WHERE tenant = :tenant AND key = :key AND marked_at IS NULL
        """),
        {"tenant": tenant, "key": key},
    )
    return found.one_or_none() is not None


def unnamed(connection: Connection, keys: Collection[str]) -> list[str]:
    """Return those of the keys that no row names."""
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
