"""Endpoints for health checks: liveness and readiness."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from smart_filter_api.http.request_checks import OperatorsRoute
from smart_filter_api.problems import problem
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_shared.db.sessions import is_read_only
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.storage.folder import has_room

router = APIRouter(tags=["health"])
operators_router = APIRouter(tags=["health"], route_class=OperatorsRoute)

# A photo that no busy worker explains: workers poll each second.
_WAIT_SECONDS = 10.0
_OPTIONAL = frozenset({"broker", "workers", "temporary_files"})
# Time-out of each check in seconds; shorter than a request's, since probes time out soon.
_MAX_CHECK_SECONDS = 2.0
_UNAVAILABLE = "cannot be reached"


class Health(BaseModel):
    """State of the process.

    degraded: what does not work, but is not needed for every answer: `broker`, which takes no
    writes, so that photos start up to a second later; `workers`, which do not take the photos that
    wait; `temporary_files`, without room for large photos.
    """

    status: str = "ok"
    degraded: list[str] = []


@router.get("/livez", summary="Check liveness")
async def get_liveness() -> Health:
    """Return `ok` while the process answers requests."""
    return Health()


@operators_router.get(
    "/readyz",
    summary="Check readiness",
    response_model=Health,
    responses=describe_responses("unavailable", needs_key=False),
)
async def get_readiness(request: Request, services: OpenServices) -> Health | Response:
    """Check database and storage, which the API needs, and broker, workers, temporary files."""
    faults: dict[str, str] = {}

    async def ask(name: str, question: Callable[[Services], Awaitable[str | None]]) -> None:
        fault: str | None = _UNAVAILABLE
        with anyio.move_on_after(min(_MAX_CHECK_SECONDS, services.database.patience_seconds)):
            fault = await question(services)
        if fault is not None:
            faults[name] = fault

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask, "database", _database_fault)
        asking.start_soon(ask, "storage", _storage_fault)
        asking.start_soon(ask, "broker", _broker_fault)
        asking.start_soon(ask, "workers", _workers_fault)
        asking.start_soon(ask, "temporary_files", _temporary_files_fault)
    missing = sorted(set(faults) - _OPTIONAL)
    if missing:
        return problem.problem_response(
            request,
            "unavailable",
            " and ".join(f"{name} {faults[name]}" for name in missing),
            headers={"Retry-After": str(problem.RETRY_AFTER_SECONDS)},
        )
    return Health(degraded=sorted(faults))


async def _database_fault(services: Services) -> str | None:
    try:
        return "is read-only" if await services.database.query(_leave_replica) else None
    except TryAgain:
        return _UNAVAILABLE


def _leave_replica(connection: Connection) -> bool:
    """Return whether the database is read-only; drop the connection then."""
    if is_read_only(connection):
        # The host name may resolve to another server now. No failed write would drop it: a process
        # that is not ready gets no requests.
        connection.invalidate()
        return True
    return False


async def _workers_fault(services: Services) -> str | None:
    try:
        waiting = await services.database.query(
            worker_registry.list_unattended,
            waited_seconds=_WAIT_SECONDS,
            silent_seconds=services.silent_seconds,
        )
    except TryAgain:
        return None  # the check of the database tells
    return f"do not take photos of {', '.join(waiting)}" if waiting else None


async def _temporary_files_fault(_: Services) -> str | None:
    try:
        return None if has_room(Path(tempfile.gettempdir())) else "have no room"
    except OSError:
        return _UNAVAILABLE


# The next two checks use threads of the default limiter and are abandoned when they take too long,
# so uploads that wait for storage do not delay the answer.
async def _storage_fault(services: Services) -> str | None:
    try:
        await anyio.to_thread.run_sync(services.storage.check, abandon_on_cancel=True)
    except TryAgain:
        return _UNAVAILABLE
    return None


async def _broker_fault(services: Services) -> str | None:
    return await anyio.to_thread.run_sync(services.broker.find_fault, abandon_on_cancel=True)
