"""What is kept how long: every object that a row names is an artifact with a day of expiry.

Photos and intermediates are kept for a day, results for a week, or as long as their tenant
wants; a job knows from its submission on. An artifact is marked
first, which is committed; then its object goes, and then its row: whoever finds the row
unmarked finds the object. Several processes share the work: each claims a page of marked rows
under a lease, and a page whose process dies is claimed again when the lease ends. Objects that no
row names (a crash between storing and committing) are found by listing their days.
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
# Limits how long a page stays with a process that died. A page takes a second or two, and one
# request to storage ten seconds at most.
LEASE_SECONDS: Final = 60.0
# What a job still needs past its time is looked at again after as long as it has been held, at
# least and at most this many seconds later. So a photo stays ten minutes longer than such a job, at
# most, and it is read a few times in place of every second.
LOOK_AGAIN_SECONDS: Final = 600.0
LOOK_AGAIN_LEAST_SECONDS: Final = 1.0
# The same for material that people consented to have kept. Only the deletion of its job ends that,
# and marks the artifact itself, so seldom is enough.
_LOOK_AT_MATERIAL_SECONDS: Final = 24 * 3600.0

# What is still needed past its time leaves the head of the index: without that, every pass would
# read all of it again.
_MARK_EXPIRED = text("""
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
            WHEN by_job THEN statement_timestamp() + least(
                make_interval(secs => :look_again), greatest(
                    make_interval(secs => :least),
                    statement_timestamp() - coalesce(held_since, expires_at)
                )
            )
            WHEN as_material THEN statement_timestamp() + make_interval(secs => :material)
            ELSE expires_at
        END
    FROM needed
    WHERE artifacts.tenant = needed.tenant AND artifacts.key = needed.key
""")
_CLAIM = text("""
    WITH unclaimed AS MATERIALIZED (
        SELECT tenant, key FROM artifacts
        WHERE marked_at IS NOT NULL
            AND (leased_until IS NULL OR leased_until <= statement_timestamp())
        ORDER BY marked_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE artifacts
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM unclaimed
    WHERE artifacts.tenant = unclaimed.tenant AND artifacts.key = unclaimed.key
    RETURNING artifacts.tenant, artifacts.key
""")
# Bounds what a look at the lag reads of marked rows: the deletion of a large tenant marks millions.
# Expired rows are marked in the order of their time, so that the oldest is among the first.
_FIRST_MARKED: Final = 1000
# Each is read from the start of an index. What is held has its time moved on, so it does not count.
# A row that is deleted is marked before it expires, and due from that moment.
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


def mark_expired(connection: Connection, *, most: int) -> int:
    """Mark what has expired, up to `most` rows; return how many rows were looked at.

    What a job still needs that has not ended is held, and looked at again later: it stays, and is
    not given out. So is what people consented to have kept as training material.
    """
    seconds = {
        "look_again": LOOK_AGAIN_SECONDS,
        "least": LOOK_AGAIN_LEAST_SECONDS,
        "material": _LOOK_AT_MATERIAL_SECONDS,
    }
    return connection.execute(_MARK_EXPIRED, {"most": most, **seconds}).rowcount


def claim(connection: Connection, *, most: int) -> list[Marked]:
    """Claim marked artifacts for LEASE_SECONDS, the oldest marks first; return them.

    The claiming process removes their objects and then forgets their rows.
    """
    rows = connection.execute(_CLAIM, {"most": most, "lease_seconds": LEASE_SECONDS})
    return [Marked(Tenant(row.tenant), row.key) for row in rows]


def lag_seconds(connection: Connection) -> float:
    """Return for how long the oldest overdue artifact or upload has been overdue; 0 without any.

    One is overdue that has expired and is not held, or is marked, and is still there.
    """
    found = connection.execute(_OLDEST_OVERDUE, {"most": _FIRST_MARKED}).scalar_one()
    return 0.0 if found is None else max(0.0, float(found))


def forget_requests(connection: Connection, *, most: int) -> int:
    """Forget requests whose Idempotency-Key is not kept any more; return how many."""
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
        {"most": most, "hours": REQUEST_HOURS},
    ).rowcount


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
                AND held_since IS NULL AND expires_at > statement_timestamp()
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
