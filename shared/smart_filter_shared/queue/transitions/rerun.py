"""Run succeeded stages again whose artifacts are missing."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import references, retention
from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import PIPELINE, Stage, StageName, needs_within
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.queue.transitions import batches, locks, sql

# Reruns of one job. An artifact that is missing a third time would go missing again.
_MAX_RERUNS = 2

# The fields needed to run a stage again.
_INPUTS_OF = text("SELECT tenant, photo_key, reopened FROM jobs WHERE id = :job_id")

_RESULTS_OF = text("SELECT stage, state, result FROM stages WHERE job_id = :job_id")

# :stages are the stages whose artifacts are missing and those that now wait for them; :needs are
# their numbers of unfinished needs. Running and succeeded stages get their attempt back.
# deadline_at is copied from the job: a stage that succeeded before a redrive has the old deadline.
_RERUN_STAGES = text("""
    UPDATE stages SET
        state = CASE WHEN again.needs = 0 THEN 'ready' ELSE 'waiting' END,
        open_needs = again.needs,
        attempt = CASE WHEN state IN ('running', 'succeeded')
            THEN greatest(0, attempt - 1) ELSE attempt END,
        not_before = CASE WHEN state = 'waiting' THEN not_before END,
        ready_at = statement_timestamp(), finished_at = NULL, error = NULL,
        seconds = NULL, result = NULL, lease_token = NULL, leased_until = NULL,
        deadline_at = (SELECT deadline_at FROM jobs WHERE id = :job_id)
    FROM unnest(CAST(:stages AS text[]), CAST(:needs AS smallint[])) AS again (stage, needs)
    WHERE stages.job_id = :job_id AND stages.stage = again.stage
    RETURNING stages.capability, stages.state
""")

_COUNT_RERUN = text("UPDATE jobs SET reopened = reopened + 1 WHERE id = :job_id")


def rerun(connection: Connection, lease: Lease, gone: Collection[str]) -> list[Capability]:
    """Run again the stages whose artifacts the holder of a lease found missing.

    These stages wait again, and so do their dependents that have not succeeded: leases are
    revoked and attempts refunded.  Returns the capabilities to ring.
    Raises LeaseLost, also when another worker's rerun revoked the lease. Raises InputsExpired
    after two reruns of the job, when the photo is missing too, and when no stage of the job made
    the missing artifacts.
    """
    held = locks.lease_parameters(lease)
    jobs = locks.lock(connection, [lease.job_id])
    if connection.execute(sql.FIND_HELD_STAGE, held).one_or_none() is None:
        raise locks.lease_lost(lease)
    tenant = jobs[lease.job_id].tenant
    rows = connection.execute(_RESULTS_OF, held).all()
    states = {StageName(row.stage): row.state for row in rows}
    made = {StageName(row.stage): references.artifact_keys(row.result) for row in rows}
    again = _find_stages_to_rerun(states, [stage for stage in made if made[stage] & set(gone)])
    job = connection.execute(_INPUTS_OF, held).one()
    if (
        not again
        or job.reopened >= _MAX_RERUNS
        or job.photo_key is None
        or job.photo_key in gone
        or not retention.is_unmarked(connection, tenant, job.photo_key)
    ):
        raise InputsExpired(
            f"the inputs of {lease.stage} of job {lease.job_id} have expired and cannot be made"
            " again; submit the photo again"
        )
    references.mark_missing(connection, tenant, gone)  # no other job reuses them
    needs = _open_needs(states, again)
    if lease.album is not None:
        for gated in (stage.name for stage in PIPELINE if stage.gated_by_album):
            if gated in needs:
                # The album is not ranked while a stage of this job is being rated.
                needs[gated] += batches.is_unranked(connection, lease.album)
    connection.execute(_COUNT_RERUN, held)
    ready = connection.execute(
        _RERUN_STAGES,
        {
            "job_id": lease.job_id,
            "stages": [str(stage) for stage in needs],
            "needs": list(needs.values()),
        },
    )
    return [Capability(row.capability) for row in ready if row.state == StageState.READY]


def _find_stages_to_rerun(
    states: Mapping[StageName, str], lost: Collection[StageName]
) -> frozenset[StageName]:
    """Return the stages to run again: stages that lost their artifacts, and the stages in between.

    For example, `smile` needs `face` and also reads the artifacts of `prepare`. `face` runs again
    with `prepare`, so that `smile` waits for both.
    """
    again = frozenset(lost)
    while True:
        between = {
            need
            for stage in PIPELINE
            if states.get(stage.name, StageState.SUCCEEDED) != StageState.SUCCEEDED
            and not again & set(stage.needs)
            for need in needs_within(stage, states)
            if states[need] == StageState.SUCCEEDED and again & _all_needs(need)
        }
        if not between - again:
            return again
        again |= between


def _open_needs(
    states: Mapping[StageName, str], again: Collection[StageName]
) -> dict[StageName, int]:
    """Return the number of open needs of each stage that runs again or waits for such a stage."""

    def is_open(name: StageName) -> bool:
        return name in again or states[name] != StageState.SUCCEEDED

    return {
        stage.name: sum(is_open(need) for need in needs_within(stage, states))
        for stage in PIPELINE
        if stage.name in again
        or (stage.name in states and is_open(stage.name) and set(stage.needs) & set(again))
    }


def _all_needs(name: StageName) -> frozenset[StageName]:
    """Return all stages that a stage needs, directly or not."""
    stage: Stage = next(candidate for candidate in PIPELINE if candidate.name == name)
    return frozenset(stage.needs).union(*(_all_needs(need) for need in stage.needs))
