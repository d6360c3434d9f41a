"""What must hold of jobs and stages whatever has happened; each query finds what breaks it."""

from collections.abc import Mapping

from sqlalchemy import text

from smart_filter_shared.pipeline import PIPELINE
from smart_filter_tests.bench import Bench

_NEEDS = ", ".join(
    f"('{stage.name}', '{need}')" for stage in PIPELINE for need in stage.needs
)  # fmt: skip

RULES: Mapping[str, str] = {
    "a waiting stage counts the needs that have not succeeded": f"""
        SELECT stages.* FROM stages WHERE state = 'waiting' AND open_needs <> (
            SELECT count(*) FROM (VALUES {_NEEDS}) AS pair (stage, need)
            JOIN stages AS needed ON needed.job_id = stages.job_id AND needed.stage = pair.need
            WHERE pair.stage = stages.stage AND needed.state <> 'succeeded'
        ) + (
            SELECT count(*) FROM batches
            WHERE batches.id = stages.album AND ranked_at IS NULL AND stage = 'composite'
        )
    """,
    "a ready stage waits for nothing": """
        SELECT * FROM stages WHERE state = 'ready'
            AND (open_needs > 0 OR not_before > statement_timestamp())
    """,
    "a waiting stage waits for something": """
        SELECT * FROM stages WHERE state = 'waiting' AND open_needs = 0 AND not_before IS NULL
    """,
    "a lease is what running means": """
        SELECT * FROM stages
        WHERE (state = 'running') <> (lease_token IS NOT NULL AND leased_until IS NOT NULL)
    """,
    "no counter is below zero": """
        SELECT * FROM stages WHERE least(open_needs, attempt, releases) < 0
    """,
    "a job has ended when no stage is unfinished": """
        SELECT * FROM jobs WHERE (outcome IS NULL) <> EXISTS (
            SELECT FROM stages WHERE job_id = id AND state IN ('waiting', 'ready', 'running')
        )
    """,
    "every stage of a job that succeeded has": """
        SELECT * FROM jobs WHERE outcome = 'succeeded' AND EXISTS (
            SELECT FROM stages WHERE job_id = id AND state <> 'succeeded'
        )
    """,
    "one stage has failed of a job that has, and of no other": """
        SELECT * FROM jobs WHERE (outcome IS NOT DISTINCT FROM 'failed')::int <> (
            SELECT count(*) FROM stages WHERE job_id = id AND state = 'failed'
        )
    """,
    "a batch has finished when no job of it is unfinished": """
        SELECT * FROM batches WHERE (finished_at IS NULL) <> EXISTS (
            SELECT FROM jobs WHERE batch_id = batches.id AND outcome IS NULL
        )
    """,
    "an album is ranked when nobody in it is being rated": """
        SELECT * FROM batches WHERE best IS NOT NULL AND ranked_at IS NULL AND NOT EXISTS (
            SELECT FROM stages WHERE album = batches.id AND stage <> 'composite'
                AND state IN ('waiting', 'ready', 'running')
        )
    """,
    "no more are composed of an album than its best, but for those that were redriven": """
        SELECT id FROM batches WHERE best < (
            SELECT count(*) FROM jobs JOIN stages ON job_id = jobs.id AND stage = 'composite'
            WHERE batch_id = batches.id AND album_rank IS NOT NULL
        )
    """,
    "what may still be claimed has the deadline of its job": """
        SELECT stages.* FROM stages JOIN jobs ON id = job_id
        WHERE state IN ('waiting', 'ready', 'running')
            AND stages.deadline_at IS DISTINCT FROM jobs.deadline_at
    """,
    "every stage belongs to a job": """
        SELECT * FROM stages WHERE NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
    """,
    "what is kept of a deleted job is marked": """
        SELECT * FROM artifacts WHERE marked_at IS NULL
            AND NOT EXISTS (SELECT FROM jobs WHERE id = job_id)
    """,
    "what is borrowed is there, and so is who borrows it": """
        SELECT * FROM borrowers
        WHERE NOT EXISTS (SELECT FROM jobs WHERE id = borrowers.job_id) OR NOT EXISTS (
            SELECT FROM artifacts
            WHERE artifacts.tenant = borrowers.tenant AND artifacts.key = borrowers.key
        )
    """,
    "nobody borrows what is his": """
        SELECT * FROM borrowers JOIN artifacts USING (tenant, key, job_id)
    """,
    "a deleted job is gone": """
        SELECT * FROM tombstones JOIN jobs ON id = job_id
    """,
}


def broken(bench: Bench) -> list[str]:
    """Return which rules do not hold, each with a row that breaks it."""
    every = " UNION ALL ".join(
        f"SELECT '{rule}' AS rule, to_jsonb(found) AS row FROM ({query}) AS found"
        for rule, query in RULES.items()
    )
    with bench.transaction() as connection:
        return [f"{found.rule}: {found.row}" for found in connection.execute(text(every))]
