"""End what a request waits for when its client leaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect


@asynccontextmanager
async def end_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel the block when the client of a request leaves.

    The body must have been read, or be unwanted: its rest is discarded. Blocks of the database are
    shielded, so their connections return to the pool first.
    Raises ClientDisconnect unless the block ends before it notices.
    """
    is_canceled = False
    failure: Exception | None = None

    async def watch() -> None:
        nonlocal is_canceled
        while (await request.receive())["type"] != "http.disconnect":
            pass
        is_canceled = True
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, without the group around it
            failure = error
        # Here the block has ended, so its client is answered.
        is_canceled = False
        group.cancel_scope.cancel()
    if is_canceled:
        raise ClientDisconnect
    if failure is not None:
        raise failure
