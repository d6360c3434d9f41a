"""Settle ended jobs: correct the accounts of their tenants, count what happened, clear the queue.

A job is charged an estimate when it is submitted (queue/fair_queueing.py). Once it has ended, its
measured cost is known, and it counts in usage, estimates and failures. Its stages move from the
queue to `ended_stages`, so the queue holds the stages of unfinished jobs, and of those that have
ended since the last sweep.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.eta import calibration
from smart_filter_shared.eta.calibration import Observation
from smart_filter_shared.ids import Tenant
from smart_filter_shared.operations import counters, dead_letters
from smart_filter_shared.operations.counters import CounterKey, CounterName, CounterValue
from smart_filter_shared.operations.dead_letters import JobFailure
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.tenants import usage
from smart_filter_shared.tenants.usage import UsageTotals

# Jobs that one call settles; bounds how long their locks are held.
_MAX_SETTLED: Final = 500

# Columns that only the queue reads; a redrive needs those of a job that failed.
_NOT_KEPT: Final = json.dumps(
    dict.fromkeys(
        (
            *("job_id", "batch_key", "head_start", "rank", "ready_at", "releases", "open_needs"),
            *("patience_since", "worker", "not_before", "deadline_at", "rerouted"),
        )
    )
)
_SETTLE = text(f"""
    WITH held AS MATERIALIZED (
        SELECT id, tenant, outcome, estimated_seconds, megapixels, counted_seconds,
            CAST(finished_at AT TIME ZONE 'UTC' AS date) AS day,
            -- Forecasts are calibrated with jobs that succeeded at the first end, without redrive.
            CASE WHEN outcome = 'succeeded' AND counted_seconds IS NULL
                AND foreseen_p50 IS NOT NULL
                THEN json_build_array(
                    recipe ->> 'priority', foreseen_p50, foreseen_p90,
                    extract(epoch FROM finished_at - created_at)
                )
            END AS eta,
            CASE WHEN outcome = 'failed' THEN json_build_object(
                'job_id', id, 'code', error ->> 'code', 'failed_at', finished_at, 'capability', (
                    SELECT capability FROM stages
                    WHERE stages.job_id = jobs.id AND stages.stage = jobs.error ->> 'stage'
                )
            ) END AS failure
        FROM unsettled_jobs JOIN jobs ON jobs.id = unsettled_jobs.job_id
        ORDER BY unsettled_jobs.job_id LIMIT :most
        FOR NO KEY UPDATE OF jobs SKIP LOCKED
    ), settled AS (
        -- A job that was redriven meanwhile has no such row any more.
        DELETE FROM unsettled_jobs WHERE job_id = ANY(ARRAY(SELECT id FROM held))
        RETURNING job_id
    ), ended AS MATERIALIZED (
        SELECT held.* FROM held JOIN settled ON job_id = id
    ), moved AS (
        -- No other transaction changes them: their job is locked, and has ended.
        DELETE FROM stages WHERE job_id = ANY(ARRAY(SELECT id FROM ended))
        RETURNING job_id, seconds, stages AS stage
    ), kept AS MATERIALIZED (
        SELECT job_id, sum(moved.seconds) AS seconds, array_agg(CASE outcome WHEN 'succeeded'
            THEN jsonb_populate_record(stage, '{_NOT_KEPT}') ELSE stage END) AS stages
        FROM moved JOIN ended ON id = job_id GROUP BY job_id
    ), ran AS MATERIALIZED (
        SELECT ended.*, coalesce(kept.seconds, 0) AS seconds
        FROM ended LEFT JOIN kept ON kept.job_id = ended.id
    ), recorded AS (
        INSERT INTO ended_stages (job_id, stages) SELECT job_id, stages FROM kept
    ), graves AS MATERIALIZED (
        SELECT * FROM tombstones WHERE owed IS NOT NULL
        ORDER BY job_id LIMIT :most
        FOR NO KEY UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM begun_jobs WHERE job_id = ANY(ARRAY(SELECT id FROM ended))
    ), closed AS (
        UPDATE tombstones SET
            owed = NULL, outcome = NULL, ended_on = NULL, megapixels = NULL, seconds = NULL
        FROM graves WHERE tombstones.job_id = graves.job_id
    ), due AS MATERIALIZED (
        SELECT tenant, day, outcome, seconds - estimated_seconds AS owed,
            -- A job that ends again after a redrive brings no new photo.
            CASE WHEN counted_seconds IS NULL THEN megapixels ELSE 0 END AS megapixels,
            seconds - coalesce(counted_seconds, 0) AS seconds, eta, failure
        FROM ran
        UNION ALL
        SELECT tenant, ended_on, outcome, owed, megapixels, seconds, NULL, NULL FROM graves
    ), measured AS MATERIALIZED (
        -- Tenant rows are locked by name, as everywhere (transitions/sql.py).
        SELECT name, (SELECT sum(owed) FROM due WHERE due.tenant = tenants.name) AS more
        FROM tenants WHERE name IN (SELECT tenant FROM due)
        ORDER BY name FOR NO KEY UPDATE
    ), charged AS (
        UPDATE tenants SET finish = finish + measured.more / weight
        FROM measured WHERE tenants.name = measured.name
    )
    SELECT tenant, day, outcome, count(*) AS jobs, sum(megapixels) AS megapixels,
        sum(seconds) AS seconds, json_agg(eta) FILTER (WHERE eta IS NOT NULL) AS eta,
        json_agg(failure) FILTER (WHERE failure IS NOT NULL) AS failures
    FROM due GROUP BY tenant, day, outcome
""")  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class Settlement:
    """The settled jobs: how many of each outcome, and the failures.

    is_full: whether there may be more to settle.
    """

    ended: Mapping[JobState, int]
    failures: Sequence[JobFailure]
    is_full: bool = False


def settle(connection: Connection) -> Settlement:
    """Settle ended jobs and return them: correct `finish`, calibrate estimates, count what ended.

    The difference between estimated and measured cost is added to the `finish` of the tenant.
    A deleted job left this difference on its tombstone: writing it at the deletion would make a
    tenant's deletions wait for each other.
    Each end of a job is settled once.
    """
    rows = connection.execute(_SETTLE, {"most": _MAX_SETTLED}).all()
    usage.add(
        connection,
        {
            (Tenant(row.tenant), row.day, JobState(row.outcome)): UsageTotals(
                row.jobs, row.megapixels, row.seconds
            )
            for row in rows
        },
    )
    calibration.learn(
        connection,
        [
            (Priority(priority), Observation(p50, p90, seconds))
            for row in rows
            for priority, p50, p90, seconds in row.eta or ()
        ],
    )
    ended: Counter[JobState] = Counter()
    failures: list[JobFailure] = []
    for row in rows:
        ended[JobState(row.outcome)] += row.jobs
        failures += [JobFailure.from_json(failure) for failure in row.failures or ()]
    dead = Counter(failure.capability for failure in failures if failure.is_dead)
    counters.add(
        connection,
        {
            CounterKey(what, subject): CounterValue(jobs)
            for what, counted in ((CounterName.ENDED, ended), (CounterName.DEAD, dead))
            for subject, jobs in counted.items()
        },
    )
    dead_letters.count_failures(connection, failures)
    return Settlement(ended, failures, is_full=ended.total() >= _MAX_SETTLED)
