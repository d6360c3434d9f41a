"""Reference counts of artifacts that several jobs use: the last job's deletion deletes them.

An artifact belongs to the job that made it; other jobs of the tenant borrow it (table
`borrowers`). When its owner is deleted, the artifact passes to one of the borrowers. Borrowing,
passing on and marking first lock the artifacts by key, after jobs and stages, so that no two
transactions decide about one artifact at the same time.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts.retention import ArtifactKind, MarkedArtifact, RetentionPolicy
from smart_filter_shared.ids import JobId, Tenant

# Marked and expired artifacts are not given out. A borrowed artifact is kept as long as one made
# now.
_ADD_REFERENCES = text("""
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
_TRANSFER_OWNERSHIP = text("""
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
_DELETE_REFERENCES = text("DELETE FROM borrowers WHERE job_id = :job_id")
_MARK = text("""
    UPDATE artifacts SET marked_at = coalesce(marked_at, statement_timestamp())
    WHERE job_id = :job_id RETURNING tenant, key
""")
_MARK_MISSING = text("""
    WITH gone AS MATERIALIZED (
        SELECT tenant, key FROM artifacts WHERE tenant = :tenant AND key = ANY(:keys)
        ORDER BY key
        FOR UPDATE
    )
    UPDATE artifacts SET marked_at = coalesce(marked_at, statement_timestamp())
    FROM gone WHERE artifacts.tenant = gone.tenant AND artifacts.key = gone.key
""")


def add_references(
    connection: Connection,
    tenant: Tenant,
    job_id: JobId,
    keys: Collection[str],
    retention: RetentionPolicy,
) -> set[str]:
    """Let a job borrow artifacts of its tenant's other jobs; return the keys still available."""
    if not keys:
        return set()
    rows = connection.execute(
        _ADD_REFERENCES,
        {
            "tenant": tenant,
            "job_id": job_id,
            "keys": list(keys),
            "result": str(ArtifactKind.RESULT),
            "result_seconds": retention.seconds(ArtifactKind.RESULT),
            "input_seconds": retention.seconds(ArtifactKind.INTERMEDIATE),
        },
    )
    return {row.key for row in rows}


def lock_used(connection: Connection, job_id: JobId) -> None:
    """Lock the artifacts that a job made or borrows; a later statement sees who borrows them."""
    connection.execute(_LOCK_USED, {"job_id": job_id})


def drop_references(connection: Connection, job_id: JobId) -> list[MarkedArtifact]:
    """Drop a job's references: mark and return the artifacts that no other job uses.

    An artifact with other users passes to one of them.
    """
    parameters = {"job_id": job_id}
    lock_used(connection, job_id)
    connection.execute(_TRANSFER_OWNERSHIP, parameters)
    connection.execute(_DELETE_REFERENCES, parameters)
    rows = connection.execute(_MARK, parameters)
    return [MarkedArtifact(Tenant(row.tenant), row.key) for row in rows]


def mark_missing(connection: Connection, tenant: Tenant, keys: Collection[str]) -> None:
    """Mark artifacts whose objects are missing, so that no job is given them."""
    connection.execute(_MARK_MISSING, {"tenant": tenant, "keys": list(keys)})


def artifact_keys(result: Mapping[str, Any] | None) -> set[str]:
    """Return the keys of the artifacts that a stage's result names."""
    if result is None:
        return set()
    files = (file["key"] for file in result.get("files", {}).values())
    return {*result.get("arrays", {}).values(), *files}
