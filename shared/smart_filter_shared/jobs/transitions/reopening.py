"""How stages that have succeeded are run again, because what they made is gone."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import memory, retention, sharing
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.states import StageState
from smart_filter_shared.jobs.transitions import batches, locks, statements
from smart_filter_shared.pipeline import PIPELINE, Stage, StageName, needs_within

# What goes a third time goes again.
_MOST_REOPENED = 2


def reopen(connection: Connection, lease: Lease, gone: Collection[str]) -> list[Capability]:
    """Run again the stages whose artifacts are gone, as whoever holds a lease has found.

    They wait again, and so does what needs them and has not succeeded: leases are taken away,
    attempts given back.  Returns what to ring.
    Raises LeaseLost, also when another has reopened them; InputsExpired when that has been done
    twice for the job, when the photo is gone as well, and when no stage has made what is gone.
    """
    held = locks.named_lease(lease)
    jobs = locks.lock(connection, [lease.job_id])
    if connection.execute(statements.HELD, held).one_or_none() is None:
        raise locks.lost(lease)
    tenant = jobs[lease.job_id].tenant
    rows = connection.execute(statements.RESULTS_OF, held).all()
    states = {StageName(row.stage): row.state for row in rows}
    made = {StageName(row.stage): memory.artifacts_of(row.result) for row in rows}
    again = _to_run_again(states, [stage for stage in made if made[stage] & set(gone)])
    job = connection.execute(statements.INPUTS_OF, held).one()
    if (
        not again
        or job.reopened >= _MOST_REOPENED
        or job.photo_key is None
        or not retention.is_there(connection, tenant, job.photo_key)
    ):
        raise InputsExpired(
            f"what {lease.stage} of job {lease.job_id} reads is not kept any more, and cannot be"
            " made again; submit the photo again"
        )
    sharing.mark_gone(connection, tenant, gone)  # nobody else is given it
    needs = _open_needs(states, again)
    if lease.album is not None and StageName.COMPOSITE in needs:
        # While something of it is being rated nobody ranks the album.
        needs[StageName.COMPOSITE] += batches.is_unranked(connection, lease.album)
    connection.execute(statements.COUNT_REOPENED, held)
    ready = connection.execute(
        statements.REOPEN_STAGES,
        {
            "job_id": lease.job_id,
            "stages": [str(stage) for stage in needs],
            "needs": list(needs.values()),
        },
    )
    return [Capability(row.capability) for row in ready if row.state == StageState.READY]


def _to_run_again(
    states: Mapping[StageName, str], lost: Collection[StageName]
) -> frozenset[StageName]:
    """Return the stages that run again: those that have lost what they made, and what lies between.

    `smile` waits for `face` and reads what `prepare` made too: only when both run again does it
    wait for both.
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
    """Return for each stage that runs again, or waits for one that does, its open needs."""

    def is_open(name: StageName) -> bool:
        return name in again or states[name] != StageState.SUCCEEDED

    return {
        stage.name: sum(is_open(need) for need in needs_within(stage, states))
        for stage in PIPELINE
        if stage.name in again
        or (stage.name in states and is_open(stage.name) and set(stage.needs) & set(again))
    }


def _all_needs(name: StageName) -> frozenset[StageName]:
    """Return everything that a stage needs, however far before it."""
    stage: Stage = next(one for one in PIPELINE if one.name == name)
    return frozenset(stage.needs).union(*(_all_needs(need) for need in stage.needs))
