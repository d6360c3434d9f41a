"""Endpoints for operators: state and history of the service, queues, workers and failed jobs."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from smart_filter_api.auth import api_keys
from smart_filter_api.http import documents
from smart_filter_api.http.documents import render_as
from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.operating import (
    BusiestTenants,
    MovableJobs,
    MovedJobs,
    Queue,
    ServiceHistory,
    ServiceState,
    TenantJobs,
    Worker,
)
from smart_filter_api.schemas.parameters import parse_id
from smart_filter_api.services.callers import ActingOperator, Operator
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.errors import NotFound, OutcomeUnknown
from smart_filter_shared.ids import JobId, Tenant, WorkerId
from smart_filter_shared.operations import (
    dead_letters,
    issues,
    operator_actions,
    overview,
    timeseries,
)
from smart_filter_shared.operations.dead_letters import FailureCount
from smart_filter_shared.operations.operator_actions import PAGE_JOBS, BulkAction
from smart_filter_shared.operations.overview import Overview, QueueStats, WorkerInfo
from smart_filter_shared.operations.timeseries import History, TimeRange
from smart_filter_shared.queue.worker_registry import WorkerState
from smart_filter_shared.tenants import usage
from smart_filter_shared.tenants.audit_log import Actor

router = APIRouter(prefix="/v1/operator", tags=["operator"], route_class=OperatorsRoute)

_MAX_TENANTS = 50
_TENANTS_DAYS = dt.timedelta(days=30)
_MAX_PROBLEMS = 50
_CHUNK_DESCRIPTION = (
    f"At most {PAGE_JOBS} jobs per request, each in a transaction of its own. Repeat with "
    "`next_cursor` until it is null; starting again without it handles the remaining jobs."
)

IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]

# Workers listed in an overview; `workers_by_state` counts all of them.
_MAX_WORKERS: Final = 200
_MAX_ISSUES: Final = 50
_UNHEALTHY_STATES: Final = (WorkerState.SETUP_FAILED, WorkerState.UNHEALTHY)
# Maximum length of a DNS name (RFC 1035, 2.3.4).
_MAX_HOST_CHARACTERS: Final = 253
_MAX_REASON_CHARACTERS: Final = 500


@router.get(
    "/standing",
    summary="Get the state of the service",
    description="Current issues, queues and workers. With `If-None-Match` the answer is 304 while "
    "nothing has changed.",
    response_model=ServiceState,
    responses=describe_responses(),
)
async def get_service_state(
    services: OpenServices, caller: Operator, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the current state of the service."""
    del caller
    read = partial(overview.read_overview, silent_seconds=services.silent_seconds)
    standing = await services.database.query(read)
    return documents.revalidated_response(
        documents.encode(render_overview(standing)), if_none_match
    )


@router.get(
    "/history",
    summary="Get the history of the service",
    description="In steps of 1 minute for an hour, 20 minutes for a day, 8 hours for 30 days.",
    response_model=ServiceHistory,
    responses=describe_responses("malformed_request"),
)
async def get_service_history(
    services: OpenServices,
    caller: Operator,
    *,
    span: TimeRange = TimeRange.HOUR,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the history of jobs and queues."""
    del caller
    steps = timeseries.make_steps(span, dt.datetime.now(dt.UTC))
    history = await services.database.query(timeseries.read_history, steps)
    problems = await services.database.query(
        dead_letters.list_since, steps.first, most=_MAX_PROBLEMS
    )
    answer = render_history(span, history, problems)
    return documents.revalidated_response(documents.encode(answer), if_none_match)


@router.get(
    "/tenants",
    summary="List the busiest tenants",
    description="Ended jobs of the last 30 days and of today, in UTC, by their final state.",
    responses=describe_responses(),
)
async def list_busiest_tenants(services: OpenServices, caller: Operator) -> BusiestTenants:
    """Return the number of ended jobs of each of the busiest tenants."""
    del caller
    today = dt.datetime.now(dt.UTC).date()
    first = today - _TENANTS_DAYS
    busy = await services.database.query(usage.list_busiest, first, today, tenants=_MAX_TENANTS)
    items = [
        TenantJobs.model_validate(
            {"tenant": tenant.tenant, "today": tenant.last_day, "days": tenant.jobs}
        )
        for tenant in busy
    ]
    return BusiestTenants(first_day=first, items=items)


@router.get(
    "/tenants/{tenant}",
    summary="Count a tenant's jobs to cancel or redrive",
    description="The jobs that `cancel` and `redrive` would change, to confirm before the call.",
    responses=describe_responses("not_found"),
)
async def count_movable_jobs(tenant: str, services: OpenServices, caller: Operator) -> MovableJobs:
    """Return how many jobs would be canceled or redriven."""
    del caller

    def look(connection: Connection) -> MovableJobs:
        name = _require_tenant(connection, tenant)
        unfinished, failed = (
            operator_actions.count_jobs(connection, action, name) for action in BulkAction
        )
        return MovableJobs(tenant=name, unfinished=unfinished, failed=failed)

    return await services.database.transact(look)


@router.post(
    "/tenants/{tenant}/cancel",
    summary="Cancel a tenant's jobs",
    description=f"Cancels unfinished jobs. {_CHUNK_DESCRIPTION}",
    responses=describe_responses("malformed_request", "not_found"),
)
async def cancel_tenant_jobs(
    tenant: str,
    services: OpenServices,
    actor: ActingOperator,
    cursor: uuid.UUID | None = None,
) -> MovedJobs:
    """Cancel the next unfinished jobs of a tenant."""
    return await _move_jobs(services, actor, BulkAction.CANCEL, tenant, cursor)


@router.post(
    "/tenants/{tenant}/redrive",
    summary="Redrive a tenant's jobs",
    description=f"Continues failed jobs after their succeeded stages. {_CHUNK_DESCRIPTION}",
    responses=describe_responses("malformed_request", "not_found"),
)
async def redrive_tenant_jobs(
    tenant: str,
    services: OpenServices,
    actor: ActingOperator,
    cursor: uuid.UUID | None = None,
) -> MovedJobs:
    """Redrive the next failed jobs of a tenant."""
    return await _move_jobs(services, actor, BulkAction.REDRIVE, tenant, cursor)


@router.put(
    "/queues/{capability}/pause",
    summary="Pause a queue",
    description="Workers stop claiming from it. Running stages finish; new stages wait.",
    responses=describe_responses("not_found"),
)
async def pause_queue(capability: str, services: OpenServices, actor: ActingOperator) -> Queue:
    """Pause a queue, so that workers stop claiming from it."""
    return await _set_paused(services, actor, capability, paused=True)


@router.delete(
    "/queues/{capability}/pause",
    summary="Resume a queue",
    responses=describe_responses("not_found"),
)
async def resume_queue(capability: str, services: OpenServices, actor: ActingOperator) -> Queue:
    """Resume a queue, so that workers claim from it again."""
    return await _set_paused(services, actor, capability, paused=False)


@router.put(
    "/workers/{worker_id}/drain",
    summary="Drain a worker",
    description="From its next heartbeat, the worker finishes its stages and claims no more.",
    responses=describe_responses("not_found"),
)
async def drain_worker(worker_id: str, services: OpenServices, actor: ActingOperator) -> Worker:
    """Drain a worker, so that it claims no more."""
    return await _set_draining(services, actor, worker_id, draining=True)


@router.delete(
    "/workers/{worker_id}/drain",
    summary="Resume a drained worker",
    responses=describe_responses("not_found"),
)
async def undrain_worker(worker_id: str, services: OpenServices, actor: ActingOperator) -> Worker:
    """Let a drained worker claim again."""
    return await _set_draining(services, actor, worker_id, draining=False)


async def _set_paused(services: Services, actor: Actor, name: str, *, paused: bool) -> Queue:
    def change(connection: Connection) -> Queue:
        silent_seconds = services.silent_seconds
        operator_actions.set_paused(
            connection, actor, name, paused=paused, silent_seconds=silent_seconds
        )
        queue = operator_actions.find_queue(connection, name, silent_seconds=silent_seconds)
        return render_queue(queue)

    return await services.database.transact(change)


async def _set_draining(services: Services, actor: Actor, worker: str, *, draining: bool) -> Worker:
    worker_id = WorkerId(parse_id(worker, "worker"))

    def change(connection: Connection) -> Worker:
        operator_actions.set_draining(connection, actor, worker_id, draining=draining)
        listed = overview.list_workers(connection, silent_seconds=services.silent_seconds)
        return render_worker(next(member for member in listed if member.id == worker_id))

    return await services.database.transact(change)


async def _move_jobs(
    services: Services, actor: Actor, action: BulkAction, tenant: str, cursor: uuid.UUID | None
) -> MovedJobs:
    after = None if cursor is None else JobId(cursor)

    def look(connection: Connection) -> tuple[Tenant, list[JobId]]:
        name = _require_tenant(connection, tenant)
        return name, operator_actions.find_jobs(
            connection, action, name, after=after, most=PAGE_JOBS
        )

    name, job_ids = await services.database.transact(look)
    moved = 0
    try:
        for job_id in job_ids:
            try:
                await services.database.transact(operator_actions.move_job, action, name, job_id)
            except operator_actions.SKIP_ERRORS:
                continue
            except OutcomeUnknown:  # it may have been moved, and the log must not miss it
                moved += 1
                raise
            moved += 1
    finally:  # log the jobs that were moved, even when the rest failed or the client left
        with anyio.CancelScope(shield=True):
            await services.database.transact(
                operator_actions.record_moved, actor, action, name, moved
            )
    is_all = len(job_ids) < PAGE_JOBS
    return MovedJobs(
        moved=moved, left=len(job_ids) - moved, next_cursor=None if is_all else job_ids[-1]
    )


def _require_tenant(connection: Connection, name: str) -> Tenant:
    if not api_keys.is_tenant_name(name):
        raise NotFound(
            "not a tenant name: expected letters, digits, dots, underscores, hyphens, at most 100"
        )
    return operator_actions.require_tenant(connection, name)


def render_overview(overview: Overview) -> ServiceState:
    """Return the answer for the current state of the service."""
    overview = replace(overview, workers=[_truncate_worker(worker) for worker in overview.workers])
    workers = sorted(
        overview.workers,
        key=lambda worker: (worker.state not in _UNHEALTHY_STATES, not worker.failed),
    )
    return render_as(
        ServiceState,
        overview,
        concerns=issues.find_issues(overview)[:_MAX_ISSUES],
        queues=[render_queue(queue) for queue in overview.queues],
        workers=[_render_worker(worker) for worker in workers[:_MAX_WORKERS]],
        workers_by_state=dict(Counter(worker.state for worker in overview.workers)),
    )


def render_queue(queue: QueueStats) -> Queue:
    """Return the answer for a queue."""
    return render_as(Queue, queue, **asdict(queue.length))


def render_worker(worker: WorkerInfo) -> Worker:
    """Return the answer for a worker."""
    return _render_worker(_truncate_worker(worker))


def render_history(
    span: TimeRange, history: History, problems: Sequence[FailureCount]
) -> ServiceHistory:
    """Return the answer for a time range: its history, and why jobs failed in it."""
    return render_as(
        ServiceHistory,
        history,
        span=span,
        first=history.steps.first,
        step_seconds=int(history.steps.long.total_seconds()),
        queues=[{"capability": name, **history.queues[name]} for name in sorted(history.queues)],
        problems=problems,
    )


def _render_worker(worker: WorkerInfo) -> Worker:
    return render_as(
        Worker,
        worker,
        worker_id=worker.id,
        capabilities=sorted(worker.capabilities),
        wanted=sorted(worker.wanted),
    )


def _truncate_worker(worker: WorkerInfo) -> WorkerInfo:
    """Return a worker with its host name and error messages shortened."""
    return replace(
        worker,
        host=_truncate(worker.host, _MAX_HOST_CHARACTERS),
        failed={
            name: _truncate(why, _MAX_REASON_CHARACTERS) for name, why in worker.failed.items()
        },
    )


def _truncate(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
