"""Artifacts that several jobs use: each goes with the last job that uses it.

An artifact belongs to the job that made it; others of its tenant borrow it. When its owner is
deleted it passes to one of those that borrow it. Whoever borrows, hands on or marks locks the
artifacts first, by their keys, after jobs and stages: so no two of them decide about one at
the same time.
"""

from collections.abc import Collection

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.retention import Keeping, Kind, Marked

# What is marked, or has expired, is not given out. What is borrowed is kept as long again as if
# it had been made now.
_BORROW = text("""
    WITH alive AS MATERIALIZED (
        SELECT tenant, key FROM artifacts
        WHERE tenant = :tenant AND key = ANY(:keys)
            AND marked_at IS NULL AND held_since IS NULL AND expires_at > statement_timestamp()
        ORDER BY key
        FOR UPDATE
    ), kept AS (
        UPDATE artifacts SET expires_at = greatest(
            expires_at, statement_timestamp() + make_interval(secs => CASE
                WHEN kind = :result THEN CAST(:result_seconds AS float8)
                ELSE CAST(:input_seconds AS float8)
            END)
        )
        FROM alive WHERE artifacts.tenant = alive.tenant AND artifacts.key = alive.key
    ), borrowed AS (
        INSERT INTO borrowers (tenant, key, job_id)
        SELECT tenant, key, :job_id FROM alive
        ON CONFLICT DO NOTHING
    )
    SELECT key FROM alive
""")

_LOCK_USED = text("""
    WITH used AS (
        SELECT tenant, key FROM artifacts WHERE job_id = :job_id
        UNION SELECT tenant, key FROM borrowers WHERE job_id = :job_id
    )
    SELECT artifacts.key FROM artifacts JOIN used USING (tenant, key)
    ORDER BY artifacts.tenant, artifacts.key
    FOR UPDATE OF artifacts
""")
_HAND_ON = text("""
    WITH heirs AS MATERIALIZED (
        SELECT DISTINCT ON (tenant, key) tenant, key, borrowers.job_id
        FROM artifacts JOIN borrowers USING (tenant, key)
        WHERE artifacts.job_id = :job_id AND artifacts.marked_at IS NULL
        ORDER BY tenant, key, borrowers.job_id
    ), handed_on AS (
        UPDATE artifacts SET job_id = heirs.job_id FROM heirs
        WHERE artifacts.tenant = heirs.tenant AND artifacts.key = heirs.key
    )
    DELETE FROM borrowers USING heirs
    WHERE borrowers.tenant = heirs.tenant AND borrowers.key = heirs.key
        AND borrowers.job_id = heirs.job_id
""")
_RETURN = text("DELETE FROM borrowers WHERE job_id = :job_id")
_MARK = text("""
    UPDATE artifacts SET marked_at = coalesce(marked_at, statement_timestamp())
    WHERE job_id = :job_id RETURNING tenant, key
""")
_MARK_GONE = text("""
    WITH gone AS MATERIALIZED (
        SELECT tenant, key FROM artifacts WHERE tenant = :tenant AND key = ANY(:keys)
        ORDER BY key
        FOR UPDATE
    )
    UPDATE artifacts SET marked_at = coalesce(marked_at, statement_timestamp())
    FROM gone WHERE artifacts.tenant = gone.tenant AND artifacts.key = gone.key
""")


def borrow(
    connection: Connection, tenant: Tenant, job_id: JobId, keys: Collection[str], keeping: Keeping
) -> set[str]:
    """Let a job use artifacts of its tenant's other jobs; return those that are still there."""
    if not keys:
        return set()
    rows = connection.execute(
        _BORROW,
        {
            "tenant": tenant,
            "job_id": job_id,
            "keys": list(keys),
            "result": str(Kind.RESULT),
            "result_seconds": keeping.seconds(Kind.RESULT),
            "input_seconds": keeping.seconds(Kind.INTERMEDIATE),
        },
    )
    return {row.key for row in rows}


def let_go(connection: Connection, job_id: JobId) -> list[Marked]:
    """Mark everything that a job alone uses, and return it; what others use passes to them."""
    named = {"job_id": job_id}
    connection.execute(_LOCK_USED, named)
    connection.execute(_HAND_ON, named)
    connection.execute(_RETURN, named)
    rows = connection.execute(_MARK, named)
    return [Marked(Tenant(row.tenant), row.key) for row in rows]


def mark_gone(connection: Connection, tenant: Tenant, keys: Collection[str]) -> None:
    """Give artifacts out no more whose objects somebody has missed."""
    connection.execute(_MARK_GONE, {"tenant": tenant, "keys": list(keys)})
