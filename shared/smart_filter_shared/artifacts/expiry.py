"""Expire the results of ended jobs: delete everything that stages found out about the photo.

The time is in the job's row (`expires_at`): its end plus the tenant's retention of results. Then
faces, landmarks, smiles and all other findings are deleted, with the job's events, its delivery
log and the responses stored for its requests. The recipe and the times stay until the job is
deleted.

For a tenant with `keep_nothing`, results expire when the last output has been downloaded to its
last byte. A webhook delivery does not count: it contains no picture.
"""

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import references, uploads
from smart_filter_shared.ids import JobId, Tenant

_MARK_DOWNLOADED = text("""
    UPDATE jobs SET
        handed_over = array_append(handed_over, CAST(:output AS text)),
        expires_at = CASE
            WHEN ARRAY(SELECT jsonb_array_elements_text(recipe -> 'outputs'))
                <@ array_append(handed_over, CAST(:output AS text))
            THEN least(expires_at, statement_timestamp()) ELSE expires_at
        END
    WHERE id = :job_id AND tenant = :tenant AND keep_nothing AND outcome = 'succeeded'
        AND NOT CAST(:output AS text) = ANY(handed_over)
    RETURNING expires_at <= statement_timestamp() AS is_over
""")
# A borrowed artifact that this job held past its owner's retention becomes due again at once. One
# that a job without `keep_nothing` has borrowed stays as long as that job's retention says.
_USED = """
    WITH used AS (
        SELECT tenant, key FROM artifacts WHERE job_id = :job_id
        UNION SELECT tenant, key FROM borrowers WHERE job_id = :job_id
    )
"""
_EXPIRE_ARTIFACTS = text(f"""
    {_USED}
    UPDATE artifacts SET expires_at = least(expires_at, statement_timestamp())
    FROM used WHERE artifacts.tenant = used.tenant AND artifacts.key = used.key
        AND marked_at IS NULL AND (job_id = :job_id OR held_since IS NOT NULL) AND NOT EXISTS (
            SELECT FROM borrowers JOIN jobs ON jobs.id = borrowers.job_id
            WHERE borrowers.tenant = artifacts.tenant AND borrowers.key = artifacts.key
                AND NOT jobs.keep_nothing
        )
""")  # noqa: S608 - SQL of our own

# A locked job is being moved by another transaction; the next sweep comes in a second. A take reads
# the results of its batch's jobs.
_FIND_DUE = text("""
    SELECT id FROM jobs
    WHERE expired_at IS NULL AND expires_at <= statement_timestamp() AND NOT EXISTS (
        SELECT FROM batches JOIN jobs AS takes ON takes.id = batches.take_id
        WHERE batches.id = jobs.batch_id AND takes.outcome IS NULL
    )
    ORDER BY expires_at LIMIT :most
    FOR NO KEY UPDATE SKIP LOCKED
""")
_MARK_EXPIRED = """
    UPDATE jobs SET expired_at = statement_timestamp(), photo_digest = NULL,
        photo_url = NULL, corrections = '[]', album_terms = NULL,
        take = CASE WHEN take IS NOT NULL THEN CAST('{}' AS jsonb) END
    WHERE id = ANY(:ids)
"""
_DELETE_RESULTS = (
    "UPDATE stages SET result = NULL WHERE job_id = ANY(:ids)",
    """
        UPDATE ended_stages SET stages = (
            SELECT array_agg(jsonb_populate_record(kept_stage, '{"result": null}'))
            FROM unnest(stages) AS kept_stage
        )
        WHERE job_id = ANY(:ids)
    """,
    "DELETE FROM events WHERE job_id = ANY(:ids)",
    "DELETE FROM corrections WHERE job_id = ANY(:ids) AND NOT consent",
    # A job with `keep_nothing` must not inherit the artifacts that it borrows.
    """
        DELETE FROM borrowers USING jobs
        WHERE jobs.id = borrowers.job_id AND jobs.id = ANY(:ids) AND jobs.keep_nothing
    """,
    # In-flight deliveries stay and describe what is left of the job; `delete_old` in
    # webhooks/outbox.py deletes them later.
    """
        SELECT id FROM deliveries WHERE job_id = ANY(:ids) AND finished_at IS NOT NULL
        ORDER BY id FOR UPDATE
    """,
    """
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.job_id = ANY(:ids)
            AND deliveries.finished_at IS NOT NULL
    """,
    "DELETE FROM deliveries WHERE job_id = ANY(:ids) AND finished_at IS NOT NULL",
    # The row stays without its response: a repeated Idempotency-Key still runs nothing twice.
    "UPDATE requests SET body = NULL WHERE job_id = ANY(:ids)",
)


def mark_downloaded(connection: Connection, job_id: JobId, tenant: Tenant, output: str) -> None:
    """Record that an output was downloaded; after the last one, expire the job's results.

    Does nothing for a job without `keep_nothing`.
    """
    where = {"job_id": job_id, "tenant": tenant, "output": output}
    updated = connection.execute(_MARK_DOWNLOADED, where).one_or_none()
    if updated is not None and updated.is_over:
        references.lock_used(connection, job_id)
        connection.execute(_EXPIRE_ARTIFACTS, where)


def expire_results(connection: Connection, *, most: int) -> int:
    """Delete the results of jobs whose retention is over, at most `most`; return their number."""
    ids = list(connection.execute(_FIND_DUE, {"most": most}).scalars())
    if ids:
        for statement in (_MARK_EXPIRED, *_DELETE_RESULTS):
            connection.execute(text(statement), {"ids": ids})
        uploads.mark_unneeded(connection, ids)
    return len(ids)
