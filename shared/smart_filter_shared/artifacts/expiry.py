"""Expire the results of ended jobs: delete everything that stages found out about the photo.

The time is in the job's row (`expires_at`): its end plus the tenant's retention of results. Then
faces, landmarks, smiles and all other findings are deleted, with the job's events, its delivery
log and the responses stored for its requests. The recipe and the times stay until the job is
deleted.

For a tenant with `keep_nothing`, results expire when the last output has been downloaded to its
last byte. A webhook delivery does not count: it contains no picture.
"""

from sqlalchemy import Connection, TextClause, text

from smart_filter_shared.artifacts import references, uploads
from smart_filter_shared.db import partitions
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
_LIST_BORROWERS = text(f"""
    {_USED} SELECT DISTINCT job_id FROM borrowers JOIN used USING (tenant, key)
""")  # noqa: S608 - SQL of our own
_EXPIRE_ARTIFACTS = f"""
    {_USED}
    UPDATE artifacts SET expires_at = least(expires_at, statement_timestamp())
    FROM used WHERE artifacts.tenant = used.tenant AND artifacts.key = used.key
        AND marked_at IS NULL AND (job_id = :job_id OR held_since IS NOT NULL) AND NOT EXISTS (
            SELECT FROM borrowers JOIN jobs ON jobs.id = borrowers.job_id
            WHERE borrowers.tenant = artifacts.tenant AND borrowers.key = artifacts.key
                AND NOT jobs.keep_nothing AND {{days}}
        )
"""  # noqa: S608 - SQL of our own

# A locked job is being moved by another transaction; the next sweep comes in a second. A take reads
# the results of its batch's jobs. Such a job is unfinished, so the views show it.
_FIND_DUE_SQL = f"""
    SELECT id FROM {{jobs}} AS jobs
    WHERE expired_at IS NULL AND expires_at <= statement_timestamp() AND {{day}} AND NOT EXISTS (
        SELECT FROM batches JOIN open_jobs AS takes ON takes.id = batches.take_id
        WHERE batches.id = jobs.batch_id AND takes.outcome IS NULL
    ) AND {partitions.READS_EVERY_UNFINISHED_JOB}
    ORDER BY expires_at LIMIT :most
    FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 - SQL of our own
_FIND_DUE = text(_FIND_DUE_SQL.format(jobs="open_jobs", day="true"))
# The lock comes first: a job that is written from here on waits for the new time of the visit.
_LOCK_DAY = text("""
    SELECT name FROM closed_days WHERE visit_at <= statement_timestamp() AND NOT reopened
    ORDER BY visit_at LIMIT 1
    FOR UPDATE SKIP LOCKED
""")
# A job that is still due is held by a take or locked, and is looked at again soon.
_PLAN_VISIT_SQL = """
    UPDATE closed_days SET visit_at = least(
        statement_timestamp() + interval '1 day',
        (
            SELECT greatest(expires_at, statement_timestamp() + interval '10 s')
            FROM jobs WHERE expires_at IS NOT NULL AND expired_at IS NULL AND {day}
            ORDER BY expires_at LIMIT 1
        )
    )
    WHERE name = :name
"""
# Separate statements: joined with the rows above, the planner reads all jobs of all days. Each
# names the days of its jobs, so it locks these alone (db/partitions.py).
_MARK_EXPIRED = """
    UPDATE jobs SET expired_at = statement_timestamp(), photo_digest = NULL,
        photo_url = NULL, corrections = '[]', album_terms = NULL,
        take = CASE WHEN take IS NOT NULL THEN CAST('{{}}' AS jsonb) END
    WHERE id = ANY(:ids) AND {days_of_id}
"""
_DELETE_RESULTS = (
    "UPDATE stages SET result = NULL WHERE job_id = ANY(:ids) AND {days_of_job_id}",
    "DELETE FROM events WHERE job_id = ANY(:ids)",
    "DELETE FROM corrections WHERE job_id = ANY(:ids) AND NOT consent",
    # A job with `keep_nothing` must not inherit the artifacts that it borrows.
    """
        DELETE FROM borrowers USING jobs
        WHERE jobs.id = borrowers.job_id AND jobs.id = ANY(:ids) AND jobs.keep_nothing
            AND {days_of_id}
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
        borrowers = list(connection.execute(_LIST_BORROWERS, where).scalars())
        days = partitions.day_condition("jobs.id", borrowers) if borrowers else "false"
        connection.execute(text(_EXPIRE_ARTIFACTS.format(days=days)), where)


def expire_results(connection: Connection, *, most: int) -> int:
    """Delete the results of jobs of open days whose retention is over, at most `most`.

    Returns their number.
    """
    return _expire(connection, _FIND_DUE, most=most)


def visit_closed_day(connection: Connection, *, most: int) -> int:
    """Do the same for the closed day that has been due for the longest.

    Returns `most` when more is due at once, of this day or of others.
    """
    name = connection.scalar(_LOCK_DAY)
    if name is None:
        return 0
    day = partitions.condition_of_day(str(name), "id")
    expired = _expire(connection, text(_FIND_DUE_SQL.format(jobs="jobs", day=day)), most=most)
    if expired < most:
        connection.execute(text(_PLAN_VISIT_SQL.format(day=day)), {"name": name})
    return most


def _expire(connection: Connection, find_due: TextClause, *, most: int) -> int:
    ids = list(connection.execute(find_due, {"most": most}).scalars())
    if ids:
        days = {f"days_of_{key}": partitions.day_condition(key, ids) for key in ("id", "job_id")}
        for statement in (_MARK_EXPIRED, *_DELETE_RESULTS):
            connection.execute(text(statement.format(**days)), {"ids": ids})
        uploads.mark_unneeded(connection, ids)
    return len(ids)
