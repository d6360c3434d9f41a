"""Whether the process lives, and whether it can serve."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from smart_filter_api import problems
from smart_filter_api.deps import OpenServices, Services
from smart_filter_api.problems import documented
from smart_filter_shared.db.read_only import is_read_only
from smart_filter_shared.errors import TryAgain

router = APIRouter(tags=["health"])

# Shorter than the patience of a request: probes give up soon.
_MOST_SECONDS = 2.0
_AWAY = "cannot be reached"


class Health(BaseModel):
    """How the process is; degraded: what is away that it can do without for a while."""

    status: str = "ok"
    degraded: list[str] = []


@router.get("/livez", summary="Whether the process lives")
async def live() -> Health:
    """Answer, which is all there is to show."""
    return Health()


@router.get(
    "/readyz",
    summary="Whether the process can serve",
    response_model=Health,
    responses=documented("unavailable"),
)
async def ready(request: Request, services: OpenServices) -> Health | Response:
    """Ask database, storage and broker, all at once; only the broker may be away."""
    faults: dict[str, str] = {}

    async def ask(name: str, question: Callable[[Services], Awaitable[str | None]]) -> None:
        fault: str | None = _AWAY
        with anyio.move_on_after(min(_MOST_SECONDS, services.patience_seconds)):
            fault = await question(services)
        if fault is not None:
            faults[name] = fault

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask, "database", _database_fault)
        asking.start_soon(ask, "storage", _storage_fault)
        asking.start_soon(ask, "broker", _broker_fault)
    missing = sorted(set(faults) - {"broker"})
    if missing:
        return problems.answer(
            request,
            "unavailable",
            " and ".join(f"{name} {faults[name]}" for name in missing),
            headers={"Retry-After": str(problems.RETRY_AFTER_SECONDS)},
        )
    return Health(degraded=list(faults))


async def _database_fault(services: Services) -> str | None:
    try:
        async with services.reading() as connection:
            if not await connection.run_sync(is_read_only):
                return None
            # A process that is not ready gets no request whose failed write would replace its
            # connections, and the name may lead to another server now.
            await connection.invalidate()
    except TryAgain:
        return _AWAY
    return "takes no writes"


# The next two have threads of their own (the default limiter), and are left behind when they
# take too long: uploads that wait for storage must not make the answer late.
async def _storage_fault(services: Services) -> str | None:
    try:
        await anyio.to_thread.run_sync(services.storage.check, abandon_on_cancel=True)
    except TryAgain:
        return _AWAY
    return None


async def _broker_fault(services: Services) -> str | None:
    answers = await anyio.to_thread.run_sync(services.doorbell.answers, abandon_on_cancel=True)
    return None if answers else _AWAY
