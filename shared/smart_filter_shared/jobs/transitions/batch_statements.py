"""The SQL of what batches have of their jobs' moves, each with the reason for its form."""

from sqlalchemy import text

# Of jobs that a transition holds: what it has made of those that belong to batches.
# rating: something is unfinished that the album waits for.
STANDING = text("""
    SELECT id, outcome, EXISTS (
        SELECT FROM open_stages WHERE job_id = ANY(:ids) AND job_id = jobs.id
            AND stage <> 'composite' AND state IN ('waiting', 'ready', 'running')
    ) AS rating
    FROM open_jobs AS jobs WHERE id = ANY(:ids)
""")

LOCK_BATCHES = text("""
    SELECT id, tenant, best, best IS NOT NULL AND ranked_at IS NULL AS unranked
    FROM batches WHERE id = ANY(:ids) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE
""")

MEMBERS = text("SELECT id FROM open_jobs WHERE batch_id = ANY(:ids)")

# One probe of `stages_rating`.
IS_RATING = text("""
    SELECT EXISTS (
        SELECT FROM open_stages WHERE album = :id AND stage <> 'composite'
            AND state IN ('waiting', 'ready', 'running')
    )
""")

# What the ranking goes by; whoever has failed or was canceled is not ranked.
RATED = text("""
    SELECT jobs.id, prepared.result AS prepared, faces.result AS faces, smiled.result AS smiled,
        segmented.result AS segmented
    FROM open_jobs AS jobs
    LEFT JOIN open_stages AS prepared ON prepared.job_id = jobs.id AND prepared.stage = 'prepare'
    LEFT JOIN open_stages AS faces ON faces.job_id = jobs.id AND faces.stage = 'face'
    LEFT JOIN open_stages AS smiled ON smiled.job_id = jobs.id AND smiled.stage = 'smile'
    LEFT JOIN open_stages AS segmented
        ON segmented.job_id = jobs.id AND segmented.stage = 'segmentation'
    WHERE jobs.batch_id = :id AND jobs.outcome IS NULL
        -- While a day is being opened its jobs are shown before their stages (db/days.py).
        AND EXISTS (SELECT FROM open_stages WHERE job_id = jobs.id)
""")

STORE_RANKS = text("""
    UPDATE open_jobs AS jobs
    SET album_rank = ranked.rank, album_terms = CAST(ranked.terms AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ranks AS integer[]), CAST(:terms AS text[]))
        AS ranked (id, rank, terms)
    WHERE jobs.id = ANY(:ids) AND jobs.id = ranked.id
""")

# Virtual time has gone on while the others were rated: at the places of their submission all of
# the best would be ahead of everyone else. They start now, one behind the other, as in waking.py.
PLACE_BEST = text("""
    WITH costs AS (
        SELECT stages.job_id, best.place, coalesce(known.mean_seconds, :unknown) AS seconds,
            greatest(known.mark, cells.virtual_time) AS v, coalesce(tenants.weight, 1) AS weight
        FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS best (id, place)
        JOIN open_stages AS stages ON stages.job_id = best.id AND stages.stage = 'composite'
        JOIN cells ON cells.name = :cell
        LEFT JOIN capabilities AS known ON known.name = stages.capability
        LEFT JOIN tenants ON tenants.name = :tenant
        WHERE stages.job_id = ANY(:ids)
    ), places AS (
        SELECT job_id, v + (sum(seconds) OVER (ORDER BY place) - seconds) / weight AS start
        FROM costs
    )
    UPDATE open_stages AS stages SET rank = greatest(rank, places.start - head_start)
    FROM places
    WHERE stages.job_id = ANY(:ids) AND stages.job_id = places.job_id
        AND stages.stage = 'composite' AND stages.state = 'waiting'
""")

# Who is not among the best runs everything else: without this row its job has succeeded.
LEAVE_OUT = text("""
    DELETE FROM open_stages WHERE job_id = ANY(:ids) AND stage = 'composite' AND state = 'waiting'
""")

RANKED = text("UPDATE batches SET ranked_at = statement_timestamp() WHERE id = :id")

# One probe of `jobs_of_batch`.
FINISH_BATCHES = text("""
    UPDATE batches SET finished_at = statement_timestamp()
    WHERE id = ANY(:ids) AND finished_at IS NULL AND NOT EXISTS (
        SELECT FROM open_jobs WHERE batch_id = batches.id AND outcome IS NULL
    )
    RETURNING id
""")

# While a transaction has read this, the view is not replaced: what is shown stays shown.
IS_SHOWN = text("SELECT EXISTS (SELECT FROM open_stages WHERE job_id = :job_id)")

REOPEN_BATCH = text("UPDATE batches SET finished_at = NULL WHERE id = :id")

FIND_BATCH = text("""
    SELECT id, deleted_at IS NOT NULL AS deleted FROM batches
    WHERE id = :id AND tenant = :tenant
""")

UNFINISHED = text("SELECT id FROM jobs WHERE batch_id = :id AND outcome IS NULL")

CANCEL_STAGES = text("""
    UPDATE stages SET
        state = 'canceled', lease_token = NULL, leased_until = NULL, not_before = NULL,
        finished_at = statement_timestamp()
    WHERE job_id = ANY(:ids) AND state IN ('waiting', 'ready', 'running')
""")

CANCEL_JOBS = text("""
    UPDATE jobs SET
        outcome = 'canceled', finished_at = statement_timestamp(),
        expires_at = statement_timestamp()
            + make_interval(secs => coalesce(
                greatest(keep_input_seconds, keep_result_seconds), 604800
            ))
    WHERE id = ANY(:ids) AND outcome IS NULL
    RETURNING id
""")

# A deleted job counts as what it ended as; one that had not ended is canceled thereby.
LEAVE_GAP = text("""
    INSERT INTO batch_gaps (batch_id, index, job_id, outcome)
    SELECT batch_id, batch_index, id, coalesce(outcome, 'canceled') FROM jobs
    WHERE id = :job_id AND batch_id IS NOT NULL
""")

# Its tombstone tells whoever waits for it; its jobs are still to go.
MARK_DELETED = text("""
    WITH marked AS (
        UPDATE batches SET deleted_at = coalesce(deleted_at, statement_timestamp())
        WHERE id = :id AND tenant = :tenant
        RETURNING id, tenant
    ), buried AS (
        INSERT INTO tombstones (job_id, tenant, deleted_at, written_in)
        SELECT id, tenant, statement_timestamp(),
            CAST(CAST(pg_current_xact_id() AS text) AS bigint)
        FROM marked
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM marked
""")

SOME_MEMBERS = text("SELECT id FROM jobs WHERE batch_id = :id ORDER BY id LIMIT :most")

# One look into `batches_deleted`.
LEFT_OVER = text("""
    SELECT id, tenant FROM batches
    WHERE deleted_at < statement_timestamp() - make_interval(secs => :seconds)
    ORDER BY deleted_at LIMIT :most
""")

# All that is known of a batch whose jobs are gone; a tombstone takes its place, unless it has one.
FORGET_BATCH = (
    text("""
        INSERT INTO tombstones (job_id, tenant, deleted_at)
        SELECT id, tenant, statement_timestamp() FROM batches WHERE id = :id
        ON CONFLICT DO NOTHING
    """),
    text("DELETE FROM batch_gaps WHERE batch_id = :id"),
    text("DELETE FROM events WHERE job_id = :id"),
    # Whoever is writing down what came of one ends first, so that no line of it is left behind.
    text("SELECT id FROM deliveries WHERE batch_id = :id ORDER BY id FOR UPDATE"),
    text("""
        DELETE FROM delivery_attempts USING deliveries
        WHERE deliveries.id = delivery_attempts.delivery_id AND deliveries.batch_id = :id
    """),
    text("DELETE FROM deliveries WHERE batch_id = :id"),
    text("DELETE FROM batches WHERE id = :id"),
    text("UPDATE requests SET body = NULL WHERE job_id = :id"),
)
