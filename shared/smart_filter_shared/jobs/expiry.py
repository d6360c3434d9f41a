"""What goes of a job when its results do: all that stages found out about the photo.

A job's row knows when (`expires_at`): its end, and as long as its tenant keeps results. Then faces,
landmarks, smiles and everything else that was read from the photo goes, with the job's events, the
log of its deliveries and the answers that were remembered for its requests. What stays is what was
asked for and when, until the job is deleted.

Of a tenant that wants nothing kept the moment is that at which the last of its outputs was handed
over: fetched, to the last byte. Nothing else counts: a webhook tells, and hands over no picture.
"""

from sqlalchemy import Connection, text

from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import uploads

_HAND_OVER = text("""
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
# Locked in the order in which others lock them who borrow, or hand on. What it borrows and has held
# past the owner's time is looked at again at once.
_END_KEEPING = text("""
    WITH used AS (
        SELECT tenant, key FROM artifacts WHERE job_id = :job_id
        UNION SELECT tenant, key FROM borrowers WHERE job_id = :job_id
    ), own AS MATERIALIZED (
        SELECT tenant, key FROM artifacts JOIN used USING (tenant, key)
        WHERE marked_at IS NULL AND (job_id = :job_id OR held_since IS NOT NULL)
        ORDER BY tenant, key
        FOR UPDATE OF artifacts
    )
    UPDATE artifacts SET expires_at = least(expires_at, statement_timestamp())
    FROM own WHERE artifacts.tenant = own.tenant AND artifacts.key = own.key
""")

# Whoever holds a job is moving it; the next sweep comes in a second.
_OVER = text("""
    SELECT id FROM jobs
    WHERE expired_at IS NULL AND expires_at <= statement_timestamp()
    ORDER BY expires_at LIMIT :most
    FOR NO KEY UPDATE SKIP LOCKED
""")
# A statement of its own: joined with the rows above, the planner reads all jobs of all days.
_EXPIRE = text("""
    UPDATE jobs SET expired_at = statement_timestamp(), photo_digest = NULL,
        photo_url = NULL, corrections = '[]', album_terms = NULL
    WHERE id = ANY(:ids)
""")
_FORGET = (
    text("UPDATE stages SET result = NULL WHERE job_id = ANY(:ids)"),
    text("DELETE FROM events WHERE job_id = ANY(:ids)"),
    text("DELETE FROM corrections WHERE job_id = ANY(:ids) AND NOT consent"),
    # What was borrowed is not handed on to one of which nothing is to be kept.
    text("""
        DELETE FROM borrowers USING jobs
        WHERE jobs.id = borrowers.job_id AND jobs.id = ANY(:ids) AND jobs.keep_nothing
    """),
    # Those that are still being sent tell late of what is left; forget_old has them in the end.
    text("""
        SELECT id FROM deliveries WHERE job_id = ANY(:ids) AND finished_at IS NOT NULL
        ORDER BY id FOR UPDATE
    """),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.job_id = ANY(:ids)
            AND deliveries.finished_at IS NOT NULL
    """),
    text("DELETE FROM deliveries WHERE job_id = ANY(:ids) AND finished_at IS NOT NULL"),
    # That something was answered is kept: the same request is not done twice.
    text("UPDATE requests SET body = NULL WHERE job_id = ANY(:ids)"),
)


def hand_over(connection: Connection, job_id: JobId, tenant: Tenant, output: str) -> None:
    """Note that an output was fetched; when it was the last, the job is kept no longer.

    Changes nothing of jobs whose tenant wants things kept.
    """
    where = {"job_id": job_id, "tenant": tenant, "output": output}
    handed = connection.execute(_HAND_OVER, where).one_or_none()
    if handed is not None and handed.is_over:
        connection.execute(_END_KEEPING, where)


def expire(connection: Connection, *, most: int) -> int:
    """Forget what was read from photos of jobs whose time is over; return how many jobs."""
    ids = list(connection.execute(_OVER, {"most": most}).scalars())
    if ids:
        for statement in (_EXPIRE, *_FORGET):
            connection.execute(statement, {"ids": ids})
        uploads.mark_delivered(connection, ids)
    return len(ids)
