"""The SQL of the transitions, each with the reason for its form.

Time is the database's `statement_timestamp()` everywhere: workers' clocks decide nothing.

Jobs lie in partitions by day (db/days.py). Everything that is done under a lease, and every sweep,
goes through `open_jobs` and `open_stages`. These statements run with generic plans, in which
`= ANY(ids)` prunes nothing: on the tables themselves a completion would lock every partition, and
while it is planned every index, 3,158 relations after 180 days. What clients do to a job of any day
(cancel, redrive, delete) reads `jobs` and `stages` with custom plans, which name the day of the id.
There a job that is joined is also named as `= ANY(ids)`: the planner prunes by that, not by the
join.

Lock order: job rows by id, then stage rows by (job, stage), then batch rows by id, then tenant
rows by name. Every transition but submit, claim and renew begins with LOCK or LOCK_IDLE; renew
locks stage rows in that order, claim skips what is locked; neither writes jobs. Batches over
the same jobs deadlocked in 29 of 50 pairs without the order, in none with it.
"""

from sqlalchemy import text

# The state of a row that is found by its key. Compared as it stands, the planner may rather look
# through the partial index of that state, which it holds for empty while it is not, or which is
# full of dead rows: what waits or runs changes faster than the statistics do.
STATE = "(stages.state || '')"
# Likewise of a job that is found by its id: `jobs_unfinished` holds every job that waits.
UNFINISHED = "(jobs.outcome || '') IS NULL"

_LOCK = """
    WITH locked AS MATERIALIZED (
        SELECT id, tenant, outcome, batch_id, keep_input_seconds, keep_result_seconds
        FROM {jobs} WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE {otherwise}
    ), below AS MATERIALIZED (
        -- The array takes all of them: no stage is locked before the last of the jobs is.
        SELECT FROM {stages}
        WHERE job_id = ANY(:ids) AND job_id = ANY(ARRAY(SELECT id FROM locked))
        ORDER BY job_id, stage FOR UPDATE
    )
    SELECT locked.*, (SELECT count(*) FROM below) AS stages FROM locked
"""
_OPEN = {"jobs": "open_jobs", "stages": "open_stages"}
LOCK = text(_LOCK.format(**_OPEN, otherwise=""))
# A job that is locked is being moved; the next sweep comes in a second.
LOCK_IDLE = text(_LOCK.format(**_OPEN, otherwise="SKIP LOCKED"))
LOCK_OF_ANY_DAY = text(_LOCK.format(jobs="jobs", stages="stages", otherwise=""))

# One statement, so that no other transaction sees a row chosen but not marked. MATERIALIZED
# keeps the planner from joining before the limit: the head is one probe of `stages_ready`,
# and its mates are looked for, unlocked, among the first `near` entries only. A row on its
# last attempt is claimed alone. What is past its deadline is passed by: `lapse` ends it within
# a second. A capability that is paused (pauses.py) has no head: one probe of a table of few rows.
# Whoever has other cards than those that recipes are validated against finds nothing.
CLAIM = text("""
    WITH head AS MATERIALIZED (
        SELECT job_id, stage, batch_key, attempt FROM open_stages
        WHERE capability = :capability AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true)
            AND NOT EXISTS (
                SELECT FROM models JOIN unnest(
                    CAST(:tasks AS text[]), CAST(:names AS text[]), CAST(:fingerprints AS text[])
                ) AS own (task, name, fingerprint) USING (task, name)
                WHERE models.fingerprint <> own.fingerprint
            )
            AND NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = :capability)
        ORDER BY rank LIMIT 1
        FOR UPDATE SKIP LOCKED
    ), near AS MATERIALIZED (
        SELECT job_id, stage, batch_key, rank FROM open_stages
        WHERE capability = :capability AND state = 'ready' AND :mates > 0
        ORDER BY rank LIMIT :near
    ), mates AS MATERIALIZED (
        SELECT stages.job_id, stages.stage FROM open_stages AS stages
        JOIN near USING (job_id, stage) JOIN head ON head.batch_key = near.batch_key
        WHERE stages.state = 'ready' AND (near.job_id, near.stage) <> (head.job_id, head.stage)
            AND coalesce(stages.deadline_at > statement_timestamp(), true)
            AND greatest(stages.attempt, head.attempt) < :max_attempts - 1
        ORDER BY near.rank LIMIT :mates
        FOR UPDATE OF stages SKIP LOCKED
    ), chosen AS (
        SELECT job_id, stage FROM head UNION ALL SELECT job_id, stage FROM mates
    )
    UPDATE open_stages AS stages SET
        state = 'running',
        attempt = attempt + 1,
        lease_token = gen_random_uuid(),
        leased_until = statement_timestamp() + make_interval(secs => :lease_seconds),
        worker = :worker,
        started_at = coalesce(started_at, statement_timestamp()),
        not_before = NULL
    FROM chosen
    WHERE stages.job_id = chosen.job_id AND stages.stage = chosen.stage
    RETURNING stages.job_id, stages.stage, stages.capability, stages.models, stages.parameters,
        stages.digests, stages.shadows,
        stages.attempt, stages.releases, stages.lease_token, stages.album,
        -- The first claim of any of its stages makes a job run. Two may begin at the same moment:
        -- see beginning.py.
        stages.started_at = statement_timestamp() AND NOT EXISTS (
            SELECT FROM open_stages AS begun
            WHERE begun.job_id = stages.job_id AND begun.started_at IS NOT NULL
        ) AS begins_job,
        least(stages.rank, stages.rank + stages.head_start) AS mark
""")

# One probe of `stages_ready` a capability: `= ANY` would sort all their rows.
HEADS = text("""
    SELECT served.capability, head.rank
    FROM unnest(CAST(:capabilities AS text[])) AS served (capability), LATERAL (
        SELECT rank FROM open_stages AS stages
        WHERE stages.capability = served.capability AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true)
        ORDER BY rank LIMIT 1
    ) AS head
    WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served.capability)
""")

RENEW = text(f"""
    WITH held AS MATERIALIZED (
        SELECT stages.job_id, stages.stage
        FROM open_stages AS stages JOIN unnest(
            CAST(:job_ids AS uuid[]), CAST(:stages AS text[]), CAST(:tokens AS uuid[])
        ) AS lease (job_id, stage, token) USING (job_id, stage)
        WHERE {STATE} = 'running' AND stages.lease_token = lease.token
        ORDER BY stages.job_id, stages.stage
        FOR UPDATE OF stages
    )
    UPDATE open_stages AS stages
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    FROM held
    WHERE stages.job_id = held.job_id AND stages.stage = held.stage
    RETURNING stages.lease_token
""")  # noqa: S608 - both parts stand here


def meeting(needs: str) -> str:
    """Return the SQL of fan-in by a counter.

    needs: a query of (job_id, stage), one row for each need that was really completed.
    """
    return f"""
        UPDATE open_stages AS stages SET
            open_needs = open_needs - met.needs,
            state = CASE
                WHEN open_needs = met.needs AND coalesce(not_before <= statement_timestamp(), true)
                THEN 'ready' ELSE state
            END,
            ready_at = statement_timestamp()
        FROM (
            SELECT job_id, stage, CAST(count(*) AS smallint) AS needs
            FROM ({needs}) AS need (job_id, stage) GROUP BY job_id, stage
        ) AS met
        WHERE stages.job_id = met.job_id AND stages.stage = met.stage AND {STATE} = 'waiting'
            AND stages.open_needs > 0
        RETURNING stages.capability, stages.state
    """  # noqa: S608 - queries of this package


MEET_NEEDS = text(
    meeting("SELECT * FROM unnest(CAST(:job_ids AS uuid[]), CAST(:stages AS text[]))")
)

FINISH_JOBS = text("""
    UPDATE open_jobs AS jobs SET outcome = 'succeeded', finished_at = statement_timestamp(),
        expires_at = statement_timestamp()
            + make_interval(secs => coalesce(keep_result_seconds, CAST(:result_seconds AS float8)))
    WHERE id = ANY(:ids) AND outcome IS NULL AND (
        -- None are found while the job's day is being opened (db/days.py): then it has not ended.
        SELECT bool_and(stages.state = 'succeeded') FROM open_stages AS stages
        WHERE job_id = ANY(:ids) AND job_id = jobs.id
    )
    RETURNING id
""")

# Infrastructure failed, not the work: the attempt is refunded. A delay of 0 hands the row
# back at once. Rows whose patience has ended are left out; the caller fails those.
RELEASE = text("""
    UPDATE open_stages SET
        state = CASE WHEN :delay_seconds > 0 THEN 'waiting' ELSE 'ready' END,
        not_before = CASE WHEN :delay_seconds > 0
            THEN statement_timestamp() + make_interval(secs => :delay_seconds) END,
        ready_at = statement_timestamp(), attempt = attempt - 1, releases = releases + 1,
        patience_since = coalesce(patience_since, statement_timestamp()),
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND coalesce(
            patience_since > statement_timestamp() - make_interval(secs => :give_up_seconds), true
        )
    RETURNING capability, state
""")

# The work failed: the attempt stays spent. The caller fails a row that has none left.
RETRY = text("""
    UPDATE open_stages SET
        state = 'waiting',
        not_before = statement_timestamp() + make_interval(secs => :delay_seconds),
        error = CAST(:error AS jsonb), lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND attempt < :max_attempts
    RETURNING stage
""")

# Another model is to do it: that one starts with all attempts, and this happens once.
REROUTE = text("""
    UPDATE open_stages SET
        state = 'ready', capability = :capability, models = CAST(:models AS jsonb),
        parameters = CAST(:parameters AS jsonb), digests = CAST(:digests AS jsonb),
        shadows = '{}', batch_key = :batch_key, rerouted = true,
        ready_at = statement_timestamp(), attempt = 0, error = NULL,
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
        AND NOT rerouted
    RETURNING stage
""")

HELD = text("""
    SELECT job_id FROM open_stages
    WHERE job_id = :job_id AND stage = :stage AND state = 'running' AND lease_token = :token
""")

CHARGE = text(f"""
    UPDATE open_stages AS stages SET seconds = coalesce(seconds, 0) + :seconds
    WHERE job_id = :job_id AND stage = :stage AND {STATE} = 'running' AND lease_token = :token
""")  # noqa: S608 - the part stands here

FAIL_STAGE = text("""
    UPDATE open_stages SET
        state = 'failed', lease_token = NULL, leased_until = NULL,
        finished_at = statement_timestamp(), error = CAST(:error AS jsonb)
    WHERE job_id = :job_id AND stage = :stage
""")

CANCEL_STAGES = text("""
    UPDATE open_stages SET
        state = 'canceled', lease_token = NULL, leased_until = NULL, not_before = NULL,
        finished_at = statement_timestamp()
    WHERE job_id = :job_id AND state IN ('waiting', 'ready', 'running')
""")

# What stages found out is kept while the job could go on with it: as long as its photo. Rows of
# versions that did not say how long: the usual week.
FAIL_JOB = text(f"""
    UPDATE open_jobs AS jobs SET
        outcome = 'failed', finished_at = statement_timestamp(), error = CAST(:error AS jsonb),
        expires_at = statement_timestamp() + make_interval(
            secs => coalesce(greatest(keep_input_seconds, keep_result_seconds), 604800)
        )
    WHERE id = :job_id AND {UNFINISHED}
""")  # noqa: S608 - both parts stand here

# album: the batch that it is ranked in.
FIND_JOB = text("""
    SELECT photo_key, upload_id, expired_at, batches.id AS album
    FROM jobs LEFT JOIN batches ON batches.id = jobs.batch_id AND batches.best IS NOT NULL
    WHERE jobs.id = :job_id AND jobs.tenant = :tenant
""")

# With what it takes to run a stage again.
INPUTS_OF = text("SELECT tenant, photo_key, reopened FROM open_jobs WHERE id = :job_id")

RESULTS_OF = text("SELECT stage, state, result FROM open_stages WHERE job_id = :job_id")

# Given are the stages whose artifacts are gone and those that wait for them now, each with the
# number of its needs that have not succeeded. What ran or had succeeded gets its attempt back.
# What had succeeded before a redrive still had the deadline that holds no more.
REOPEN_STAGES = text("""
    UPDATE open_stages AS stages SET
        state = CASE WHEN again.needs = 0 THEN 'ready' ELSE 'waiting' END,
        open_needs = again.needs,
        attempt = CASE WHEN state IN ('running', 'succeeded')
            THEN greatest(0, attempt - 1) ELSE attempt END,
        not_before = CASE WHEN state = 'waiting' THEN not_before END,
        ready_at = statement_timestamp(), finished_at = NULL, error = NULL,
        seconds = NULL, result = NULL, lease_token = NULL, leased_until = NULL,
        deadline_at = (SELECT deadline_at FROM open_jobs WHERE id = :job_id)
    FROM unnest(CAST(:stages AS text[]), CAST(:needs AS smallint[])) AS again (stage, needs)
    WHERE stages.job_id = :job_id AND stages.stage = again.stage
    RETURNING stages.capability, stages.state
""")

COUNT_REOPENED = text("UPDATE open_jobs SET reopened = reopened + 1 WHERE id = :job_id")

STAGES_OF = text("SELECT stage, state, capability FROM stages WHERE job_id = :job_id")

FIND_EXPIRED = text("""
    SELECT DISTINCT job_id, album FROM open_stages
    WHERE state = 'running' AND leased_until < statement_timestamp() LIMIT :most
""")

EXPIRED_STAGES = text("""
    SELECT job_id, stage, capability, lease_token, attempt FROM open_stages
    WHERE job_id = ANY(:ids) AND state = 'running' AND leased_until < statement_timestamp()
    ORDER BY job_id, stage
""")

# It waits until now: the wake of the same sweep makes it ready and rings. The last attempt
# runs in a child whose death fails the job, so that a lease lost on it tells of the machine,
# not of the photo: it is refunded, and patience with infrastructure bounds how often.
EXPIRE = text("""
    UPDATE open_stages SET
        state = 'waiting', not_before = statement_timestamp(),
        attempt = least(attempt, :max_attempts - 1),
        releases = releases + CAST(attempt >= :max_attempts AS int),
        patience_since = CASE WHEN attempt >= :max_attempts
            THEN coalesce(patience_since, statement_timestamp()) ELSE patience_since END,
        lease_token = NULL, leased_until = NULL
    WHERE job_id = :job_id AND stage = :stage AND state = 'running'
        AND coalesce(
            patience_since > statement_timestamp() - make_interval(secs => :give_up_seconds), true
        )
    RETURNING stage
""")

# All that is known of a job; a tombstone takes its place.
FORGET = (
    # With what the job cost, when that is not settled yet; fairness.settle clears it.
    text("""
        INSERT INTO tombstones (
            job_id, tenant, deleted_at, written_in,
            outcome, ended_on, owed, megapixels, seconds
        )
        SELECT id, tenant, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint), owing.*
        FROM jobs LEFT JOIN LATERAL (
            SELECT coalesce(outcome, 'canceled'),
                CAST(coalesce(finished_at, statement_timestamp()) AT TIME ZONE 'UTC' AS date),
                ran.seconds - estimated_seconds,
                CASE WHEN counted_seconds IS NULL THEN jobs.megapixels ELSE 0 END,
                ran.seconds - coalesce(counted_seconds, 0)
            FROM (
                SELECT coalesce(sum(seconds), 0) AS seconds FROM stages
                WHERE stages.job_id = :job_id
            ) AS ran
            WHERE NOT settled
        ) AS owing ON true
        WHERE id = :job_id
    """),
    text("DELETE FROM stages WHERE job_id = :job_id"),
    text("DELETE FROM events WHERE job_id = :job_id"),
    text("DELETE FROM corrections WHERE job_id = :job_id"),
    # Whoever is writing down what came of one ends first, so that no line of it is left behind.
    text("SELECT id FROM deliveries WHERE job_id = :job_id ORDER BY id FOR UPDATE"),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.job_id = :job_id
    """),
    text("DELETE FROM deliveries WHERE job_id = :job_id"),
    text("DELETE FROM jobs WHERE id = :job_id"),
    # What was answered tells of it; that something was is kept.
    text("UPDATE requests SET body = NULL WHERE job_id = :job_id"),
)

# What has succeeded stays; the others wait again for those of their needs that have not.
# Given is the number of each stage's unfinished needs, and where the job starts in virtual time.
REDRIVE_STAGES = text("""
    UPDATE stages SET
        state = CASE WHEN again.needs = 0 THEN 'ready' ELSE 'waiting' END,
        open_needs = again.needs, attempt = 0, releases = 0, patience_since = NULL,
        not_before = NULL, ready_at = statement_timestamp(), finished_at = NULL, error = NULL,
        deadline_at = NULL, rank = :start - head_start
    FROM unnest(CAST(:stages AS text[]), CAST(:needs AS smallint[])) AS again (stage, needs)
    WHERE stages.job_id = :job_id AND stages.stage = again.stage
    RETURNING stages.capability, stages.state
""")

# What it cost so far may have been settled: then only what is added will be, at its next end.
# What is left of it (`seconds`) has just been charged.
# A deadline holds no more: whoever redrives wants it in spite of that.
REOPEN_JOB = text("""
    UPDATE jobs SET
        outcome = NULL, finished_at = NULL, error = NULL, expires_at = NULL, settled = false,
        deadline_at = NULL,
        estimated_seconds = :seconds + CASE WHEN settled THEN coalesce((
            SELECT sum(seconds) FROM stages WHERE job_id = :job_id
        ), 0) ELSE estimated_seconds END
    WHERE id = :job_id
""")
