"""The whole service for whoever runs it: how it stands, how it was, and what is stopped."""

import datetime as dt
import uuid
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from smart_filter_api import keys, standings, tags
from smart_filter_api.deps import OpenServices, Operator, Services
from smart_filter_api.keys import Caller
from smart_filter_api.problems import documented
from smart_filter_api.schemas.operating import (
    HistoryAnswer,
    MovableAnswer,
    MovedAnswer,
    QueueAnswer,
    StandingAnswer,
    TenantJobs,
    TenantsAnswer,
    WorkerAnswer,
)
from smart_filter_shared.errors import NotFound
from smart_filter_shared.ids import Capability, JobId, Tenant, WorkerId
from smart_filter_shared.jobs import (
    failures,
    history,
    pauses,
    presence,
    queues,
    roster,
    standing,
    tenants,
    usage,
    wholesale,
)
from smart_filter_shared.jobs.history import Span
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.queues import Queue
from smart_filter_shared.jobs.wholesale import Move
from smart_filter_shared.telemetry.logs import logger

router = APIRouter(prefix="/v1/operator", tags=["operator"])
_log = logger("operator")

_MOST_TENANTS = 50
_TENANTS_DAYS = dt.timedelta(days=30)
_MOST_PROBLEMS = 50
_MOST_COUNTED = 10_000
# Each in a transaction of its own: what a request has time for.
_MOVED_AT_ONCE = 100
_ASKED_AGAIN = (
    f"at most {_MOVED_AT_ONCE} a request, each in a transaction of its own. Ask again with "
    "`next_cursor` until that is null; asked from the beginning again, it does what is left."
)
_ALWAYS = ("unauthorized", "scope", "unavailable")
_NAMED = (*_ALWAYS, "not_found")

IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


@router.get(
    "/standing",
    summary="How the service stands",
    description="What is not well, what waits, who works. Asked again with its ETag it is 304 "
    "while nothing has changed.",
    response_model=StandingAnswer,
    responses=documented(*_ALWAYS),
)
async def show(
    services: OpenServices, caller: Operator, if_none_match: IfNoneMatch = None
) -> Response:
    """Answer how things are now."""
    del caller
    read = partial(standing.read, cell=CELL, silent_seconds=services.silent_seconds)
    async with services.reading() as connection:
        found = await connection.run_sync(read)
    return tags.json(standings.answer(found).model_dump_json().encode(), if_none_match)


@router.get(
    "/history",
    summary="How the service was",
    description="In minutes for an hour, in steps of 20 minutes for a day, of 8 hours for 30 days.",
    response_model=HistoryAnswer,
    responses=documented("malformed_request", *_ALWAYS),
)
async def look_back(
    services: OpenServices,
    caller: Operator,
    *,
    span: Span = Span.HOUR,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Answer how things were."""
    del caller
    steps = history.steps_of(span, dt.datetime.now(dt.UTC))
    async with services.reading() as connection:
        found = await connection.run_sync(history.between, steps)
        problems = await connection.run_sync(failures.since, steps.first, most=_MOST_PROBLEMS)
    answer = standings.history(span, found, problems)
    return tags.json(answer.model_dump_json().encode(), if_none_match)


@router.get(
    "/tenants",
    summary="Who had most jobs",
    description="Of the last 30 days and of today, in UTC, by what became of them.",
    responses=documented(*_ALWAYS),
)
async def list_tenants(services: OpenServices, caller: Operator) -> TenantsAnswer:
    """Answer how many jobs of each tenant ended."""
    del caller
    today = dt.datetime.now(dt.UTC).date()
    first = today - _TENANTS_DAYS
    async with services.reading() as connection:
        busy = await connection.run_sync(usage.most, first, today, tenants=_MOST_TENANTS)
    items = [
        TenantJobs(tenant=one.tenant, today=dict(one.last_day), days=dict(one.jobs)) for one in busy
    ]
    return TenantsAnswer(first_day=first, items=items)


@router.get(
    "/tenants/{tenant}",
    summary="How many jobs of a tenant could be moved",
    description="What `cancel` and `redrive` would do, for whoever is asked whether they mean it.",
    responses=documented(*_NAMED),
)
async def count(tenant: str, services: OpenServices, caller: Operator) -> MovableAnswer:
    """Answer how many jobs would be canceled or redriven."""
    del caller

    def look(connection: Connection) -> MovableAnswer:
        name = _tenant(connection, tenant)
        unfinished, failed = (
            wholesale.count(connection, move, name, most=_MOST_COUNTED)
            for move in (Move.CANCEL, Move.REDRIVE)
        )
        return MovableAnswer(tenant=name, unfinished=unfinished, failed=failed)

    async with services.reading() as connection:
        return await connection.run_sync(look)


@router.post(
    "/tenants/{tenant}/cancel",
    summary="Cancel a tenant's jobs",
    description=f"Those that have not ended, {_ASKED_AGAIN}",
    responses=documented("malformed_request", *_NAMED),
)
async def cancel(
    tenant: str, services: OpenServices, caller: Operator, cursor: uuid.UUID | None = None
) -> MovedAnswer:
    """Withdraw the next jobs of a tenant."""
    return await _moved(services, caller, Move.CANCEL, tenant, cursor)


@router.post(
    "/tenants/{tenant}/redrive",
    summary="Redrive a tenant's jobs",
    description=f"Those that failed go on from what has succeeded, {_ASKED_AGAIN}",
    responses=documented("malformed_request", *_NAMED),
)
async def redrive(
    tenant: str, services: OpenServices, caller: Operator, cursor: uuid.UUID | None = None
) -> MovedAnswer:
    """Let the next failed jobs of a tenant go on."""
    return await _moved(services, caller, Move.REDRIVE, tenant, cursor)


@router.put(
    "/queues/{capability}/pause",
    summary="Pause a queue",
    description="Nobody claims from it any more; what runs is finished, what comes waits.",
    responses=documented(*_NAMED),
)
async def pause(capability: str, services: OpenServices, caller: Operator) -> QueueAnswer:
    """Let nobody claim from a queue."""
    answer = await _queue(services, capability, pauses.pause)
    _note(caller, "pause", capability)
    return answer


@router.delete(
    "/queues/{capability}/pause",
    summary="Resume a queue",
    responses=documented(*_NAMED),
)
async def resume(capability: str, services: OpenServices, caller: Operator) -> QueueAnswer:
    """Let workers claim from a queue again."""
    answer = await _queue(services, capability, pauses.resume)
    _note(caller, "resume", capability)
    return answer


@router.put(
    "/workers/{worker_id}/drain",
    summary="Drain a worker",
    description="It finishes what it has and claims no more, from its next heartbeat on.",
    responses=documented(*_NAMED),
)
async def drain(worker_id: str, services: OpenServices, caller: Operator) -> WorkerAnswer:
    """Tell a worker to claim no more."""
    answer = await _worker(services, worker_id, presence.drain)
    _note(caller, "drain", str(answer.worker_id))
    return answer


@router.delete(
    "/workers/{worker_id}/drain",
    summary="Let a worker claim again",
    responses=documented(*_NAMED),
)
async def undrain(worker_id: str, services: OpenServices, caller: Operator) -> WorkerAnswer:
    """Take a worker back that was drained."""
    answer = await _worker(services, worker_id, presence.resume)
    _note(caller, "resume", str(answer.worker_id))
    return answer


async def _queue(
    services: Services, name: str, change: Callable[[Connection, Capability], bool]
) -> QueueAnswer:
    def find(connection: Connection) -> Queue:
        for one in queues.listed(connection, silent_seconds=services.silent_seconds):
            if one.capability == name:
                return one
        raise NotFound(f"queue {name}")

    def make(connection: Connection) -> QueueAnswer:
        change(connection, find(connection).capability)
        return standings.queue(find(connection))

    async with services.transaction() as connection:
        return await connection.run_sync(make)


async def _worker(
    services: Services, named: str, change: Callable[[Connection, WorkerId], bool]
) -> WorkerAnswer:
    def make(connection: Connection) -> WorkerAnswer:
        worker_id = _worker_id(named)
        if change(connection, worker_id):
            for one in roster.listed(connection, silent_seconds=services.silent_seconds):
                if one.id == worker_id:
                    return standings.worker(one)
        raise NotFound(f"worker {named}")

    async with services.transaction() as connection:
        return await connection.run_sync(make)


def _note(caller: Caller, what: str, whom: str, **more: int) -> None:
    """Let the log tell who did what, once it is done."""
    _log.info("operator_did", key_id=str(caller.key_id), what=what, whom=whom, **more)


async def _moved(
    services: Services, caller: Caller, move: Move, tenant: str, cursor: uuid.UUID | None
) -> MovedAnswer:
    after = None if cursor is None else JobId(cursor)

    def look(connection: Connection) -> tuple[Tenant, list[JobId]]:
        name = _tenant(connection, tenant)
        return name, wholesale.find(connection, move, name, after=after, most=_MOVED_AT_ONCE)

    async with services.reading() as connection:
        name, found = await connection.run_sync(look)
    moved = 0
    try:
        for job_id in found:
            try:
                async with services.transaction() as connection:
                    await connection.run_sync(wholesale.make, move, name, job_id)
            except wholesale.LEFT:
                continue
            moved += 1
    finally:  # what is done is done, though the rest was not or nobody waits for the answer
        _note(caller, str(move), name, jobs=moved)
    is_all = len(found) < _MOVED_AT_ONCE
    return MovedAnswer(
        moved=moved, left=len(found) - moved, next_cursor=None if is_all else found[-1]
    )


def _tenant(connection: Connection, named: str) -> Tenant:
    if not keys.is_tenant(named):
        raise NotFound(
            "no tenant is called so: letters, digits, dots, underscores and hyphens, at most 100"
        )
    if not tenants.is_known(connection, Tenant(named)):
        near = tenants.near(connection, named)
        remedy = f"did you mean {near}?" if near else "none has a name like that"
        raise NotFound(f"there is no tenant {named}: {remedy}")
    return Tenant(named)


def _worker_id(named: str) -> WorkerId:
    try:
        return WorkerId(uuid.UUID(named))
    except ValueError:
        raise NotFound(f"worker {named}") from None
