"""Whether the process lives, and whether it can serve."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from smart_filter_api import problems
from smart_filter_api.deps import OpenServices, Services
from smart_filter_api.problems import documented
from smart_filter_shared.errors import TryAgain

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 2.0


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
    away: list[str] = []

    async def ask(name: str, question: Callable[[Services], Awaitable[bool]]) -> None:
        answered = False
        with anyio.move_on_after(_PATIENCE_SECONDS):
            answered = await question(services)
        if not answered:
            away.append(name)

    async with anyio.create_task_group() as asking:
        asking.start_soon(ask, "database", _database_answers)
        asking.start_soon(ask, "storage", _storage_answers)
        asking.start_soon(ask, "broker", _broker_answers)
    missing = sorted(set(away) - {"broker"})
    if missing:
        return problems.answer(
            request,
            "unavailable",
            f"{' and '.join(missing)} cannot be reached",
            headers={"Retry-After": str(problems.RETRY_AFTER_SECONDS)},
        )
    return Health(degraded=away)


async def _database_answers(services: Services) -> bool:
    try:
        async with services.reading() as connection:
            await connection.execute(text("SELECT 1"))
    except TryAgain:
        return False
    return True


# The next two have threads of their own (the default limiter), and are left behind when they
# take too long: uploads that wait for storage must not make the answer late.
async def _storage_answers(services: Services) -> bool:
    try:
        await anyio.to_thread.run_sync(services.storage.check, abandon_on_cancel=True)
    except TryAgain:
        return False
    return True


async def _broker_answers(services: Services) -> bool:
    return await anyio.to_thread.run_sync(services.doorbell.answers, abandon_on_cancel=True)
