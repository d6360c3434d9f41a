"""Make stages ready whose `not_before` has passed: retries and scheduled jobs."""

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.queue import fair_queueing
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.queue.transitions import locks, sql

# Stages woken by one sweep; the next sweep comes in a second.
_MAX_STAGES_PER_SWEEP = 500

_FIND_DUE = text("""
    SELECT DISTINCT job_id FROM (
        SELECT job_id FROM stages
        WHERE state = 'waiting' AND not_before <= statement_timestamp() AND open_needs = 0
        ORDER BY not_before LIMIT :most
    ) AS due
""")

# Virtual time has advanced while a job waited: with their old ranks, all jobs due at one moment
# would overtake every other tenant. So no job starts before virtual time, nor before its tenant's
# earlier jobs in this statement. A retry has already paid for its place. A scheduled job reserves
# and pays for its place now, behind all other work of its tenant, as in fair_queueing.reserve.
_WAKE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT job_id, bool_and(attempt = 0 AND releases = 0) AS was_scheduled
        FROM stages
        WHERE job_id = ANY(:ids) AND state = 'waiting'
            AND not_before <= statement_timestamp() AND open_needs = 0
        GROUP BY job_id
    ), remaining AS MATERIALIZED (
        SELECT due.job_id, due.was_scheduled, jobs.tenant, stages.capability
        FROM due
        JOIN jobs ON jobs.id = due.job_id
        JOIN stages ON stages.job_id = due.job_id AND stages.state = 'waiting'
    ), reached AS MATERIALIZED ({
    fair_queueing.PROGRESS_SQL.format(needed="SELECT DISTINCT capability FROM remaining")
}), now AS MATERIALIZED (
        SELECT needed.tenant, coalesce(
            min(reached.v) FILTER (WHERE reached.is_busy), max(reached.v), sweeper.virtual_time
        ) AS v
        FROM (SELECT DISTINCT tenant, capability FROM remaining) AS needed
        JOIN reached ON reached.name = needed.capability
        CROSS JOIN sweeper
        GROUP BY needed.tenant, sweeper.virtual_time
    ), costs AS MATERIALIZED (
        SELECT job_id, was_scheduled, tenant,
            sum(coalesce(known.mean_seconds, :unknown)) AS seconds
        FROM remaining LEFT JOIN capabilities AS known ON known.name = remaining.capability
        GROUP BY job_id, was_scheduled, tenant
    ), charged AS (
        INSERT INTO tenants (name, finish)
        SELECT tenant, v + sum(seconds) FROM costs JOIN now USING (tenant) WHERE was_scheduled
        GROUP BY tenant, v ORDER BY tenant
        ON CONFLICT (name) DO UPDATE SET finish = (
            SELECT greatest(tenants.finish, v) + (excluded.finish - v) / tenants.weight
            FROM now WHERE now.tenant = excluded.name
        )
        RETURNING name, weight, finish
    ), places AS MATERIALIZED (
        SELECT costs.job_id, costs.was_scheduled, costs.seconds, CASE
            WHEN costs.was_scheduled
            THEN charged.finish - sum(costs.seconds) OVER since_this / charged.weight
            ELSE now.v + (sum(costs.seconds) OVER until_this - costs.seconds)
                / coalesce(tenants.weight, 1)
        END AS start
        FROM costs JOIN now ON now.tenant = costs.tenant
        LEFT JOIN charged ON charged.name = costs.tenant
        LEFT JOIN tenants ON tenants.name = costs.tenant
        WINDOW until_this AS (PARTITION BY costs.tenant, costs.was_scheduled ORDER BY costs.job_id),
            since_this AS (
                PARTITION BY costs.tenant, costs.was_scheduled ORDER BY costs.job_id DESC
            )
    ), estimated AS (
        UPDATE jobs SET estimated_seconds = estimated_seconds + places.seconds
        FROM places WHERE jobs.id = places.job_id AND places.was_scheduled
    )
    UPDATE stages SET
        rank = greatest(stages.rank, places.start - stages.head_start),
        state = CASE WHEN not_before <= statement_timestamp() AND open_needs = 0
            THEN 'ready' ELSE state END,
        not_before = CASE WHEN not_before > statement_timestamp() OR open_needs > 0
            THEN not_before END,
        ready_at = statement_timestamp()
    FROM places
    WHERE stages.job_id = places.job_id AND stages.state = 'waiting'
    RETURNING stages.capability, stages.state
""")  # noqa: S608 - both parts stand in this package


def wake(connection: Connection) -> list[Capability]:
    """Make due stages ready, with ranks from now on; return the capabilities to ring.

    Jobs that another transaction holds are left to the next sweep.
    """
    due = connection.execute(_FIND_DUE, {"most": _MAX_STAGES_PER_SWEEP})
    jobs = locks.lock(connection, [JobId(row.job_id) for row in due], sql.LOCK_IDLE)
    if not jobs:
        return []
    parameters = {
        "ids": list(jobs),
        "unknown": fair_queueing.DEFAULT_COST_SECONDS,
    }
    rows = connection.execute(_WAKE, parameters)
    return [Capability(row.capability) for row in rows if row.state == StageState.READY]
