"""Run the next stages of a job under the lease of the stage that was claimed.

A worker that serves consecutive stages of a job runs them as one step: one claim, one completion,
and results that pass from stage to stage in memory. The lease of the claimed stage covers them
all. So a kill repeats all stages since the claim, at most _MAX_SECONDS and one stage.

Run-ahead stages have no attempt to lose: if one of them raises, its work is dropped, the stages
before it are completed, and it is claimed like any other stage. Only the first attempt of a claimed
stage runs ahead, so a stage that kills its worker is soon claimed alone.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from smart_filter_shared.jobs.queries import JobRow, StageRow
from smart_filter_shared.pipeline import StageName, get_stage, needs_within
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.queue.states import StageState
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.runtime import steps
from smart_filter_workers.runtime.claiming import claims
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.task import Task
from smart_filter_workers.stages.segmentation import stage as segmentation

# No further stage begins when the claim is older: this bounds what a kill repeats, and for how long
# more urgent jobs wait. A default job of 12 megapixels takes half a second.
_MAX_SECONDS: Final = 1.0
_log = logger("runner")


def run_next_stages(context: WorkerContext, lead: Task, *, begun_at: float) -> list[Task]:
    """Run the stages that wait only for a claimed stage; return their tasks, in order.

    lead: the claimed stage, alone in its batch, with its result.
    begun_at: when it was claimed, by `time.perf_counter`.
    """
    if not _may_lead(lead):
        return []
    ran = [lead]
    for row in lead.job.stages:
        is_late = time.perf_counter() - begun_at > _MAX_SECONDS
        if is_late or context.draining.is_set() or lead.lost.is_set():
            break
        if not _can_run(context, lead.job, row, {earlier.lease.stage for earlier in ran}):
            continue
        task = Task(
            _make_covered_lease(lead.lease, row),
            lead.overdue_at,
            lead.row,
            lead.only,
            lost=lead.lost,
            run_ahead_of=lead,
        )
        # An address may answer slowly, or not: only a claimed stage is charged for that.
        if not claims.is_readable(task.lease) or task.fetches_background:
            continue
        context.heartbeat.extend(lead, limit_seconds=context.settings.engine.stage_seconds)
        try:
            _run_stage(context, task, ran)
            weak = segmentation.find_weak_result(task.result, task.job.recipe)
        except Exception as error:  # noqa: BLE001 - any error is met again, and settled, by a claim
            _log.info("run_ahead_dropped", stage=row.name, job=str(lead.job.id), reason=str(error))
            break
        if weak is not None:
            break  # only a claimed stage is rerouted
        ran.append(task)
    return ran[1:]


def store_results(context: WorkerContext, tasks: Sequence[Task]) -> Iterator[Task]:
    """Store results of run-ahead stages; yield the tasks before the first that fails."""
    for task in tasks:
        try:
            steps.store(context, task)
        except Exception as error:  # noqa: BLE001 - as above
            _log.info("run_ahead_dropped", stage=task.lease.stage, reason=str(error))
            return
        yield task


def ends_job(job: JobRow, ran: Collection[StageName]) -> bool:
    """Return whether a job has no unfinished stage besides the stages that ran."""
    return all(row.state == StageState.SUCCEEDED or row.name in ran for row in job.stages)


def _may_lead(task: Task) -> bool:
    """Return whether other stages may run under a lease.

    Ranked albums and drawn corrections have rules of their own for what comes next.
    """
    lease = task.lease
    is_first_run = lease.attempt == 1 and task.result is not None
    return is_first_run and lease.album is None and not task.job.corrections


def _can_run(
    context: WorkerContext, job: JobRow, row: StageRow, ran: Collection[StageName]
) -> bool:
    """Return whether a stage of a job can run now, after the stages that ran under its lease."""
    if row.state != StageState.WAITING or row.attempt or row.is_held:
        return False
    if row.capability not in context.serving.capabilities:
        return False
    # Claims fill the batches of a network that gains by them.
    if context.catalog.batch_sizes[row.capability] > 1:
        return False
    rows = {listed.name: listed for listed in job.stages}
    return all(
        need in ran or rows[need].state == StageState.SUCCEEDED
        for need in needs_within(get_stage(row.name), rows)
    )


def _make_covered_lease(lead: Lease, row: StageRow) -> Lease:
    """Return the lease of a stage that the lease of another stage of its job covers."""
    return Lease(
        job_id=lead.job_id,
        stage=row.name,
        token=lead.token,
        attempt=1,
        releases=0,
        mark=lead.mark,
        capability=row.capability,
        models=row.models,
        parameters=row.parameters,
        digests=row.digests,
    )


def _run_stage(context: WorkerContext, task: Task, before: Sequence[Task]) -> None:
    """Load and run.  before: the tasks whose results are in memory."""
    started = time.perf_counter()
    steps.load(context, task, {earlier.lease.stage: earlier.result for earlier in before})
    steps.run_pass(context, [task])
    task.busy_seconds = time.perf_counter() - started
