"""Waiting for batches: `Prefer: wait=n`, and their events as they happen (SSE)."""

from collections.abc import AsyncIterator
from typing import Final

import anyio
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import Connection

from smart_filter_api.batches import answers as batch_answers
from smart_filter_api.deps import Services
from smart_filter_api.schemas.batches import BatchEventAnswer
from smart_filter_api.waiting import KEEP_ALIVE_SECONDS
from smart_filter_shared.errors import DatabaseUnavailable, JobDeleted
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs import batches, events
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.events import Event, EventType

_STREAM_SECONDS: Final = 300.0
_COME_AGAIN_MS: Final = 1000
_AWAY_SECONDS: Final = 1.0


async def until(
    services: Services,
    tenant: Tenant,
    batch_id: BatchId,
    *,
    seconds: float,
    changed_from: BatchRow | None = None,
) -> BatchRow:
    """Return a batch when it has finished, or as it is after so many seconds.

    changed_from: what the caller knows of it; then it is returned as soon as a job of it has ended.
    Raises JobDeleted as soon as it is deleted, DatabaseUnavailable.
    """
    deadline = anyio.current_time() + seconds
    with services.watching.of(JobId(batch_id), ends_only=changed_from is None) as watch:
        while True:
            async with services.reading() as connection:
                row = await connection.run_sync(own, batch_id, tenant)
            if row.finished_at is not None or (changed_from is not None and row != changed_from):
                return row
            with anyio.move_on_at(deadline) as waited:
                await watch.woken()
            if waited.cancelled_caught:
                async with services.reading() as connection:
                    return await connection.run_sync(own, batch_id, tenant)


async def stream(
    services: Services, tenant: Tenant, batch_id: BatchId, *, after: int
) -> AsyncIterator[bytes]:
    """Yield a batch's events behind one of them, as SSE, until it has finished or five minutes.

    Of several that tell of progress the last one is told: each shows the batch as it is.
    """
    ends_at = anyio.current_time() + _STREAM_SECONDS
    yield format_sse_event(retry=_COME_AGAIN_MS)
    with services.watching.of(JobId(batch_id)) as watch:
        while anyio.current_time() < ends_at:
            try:
                found, row = await _happened(services, tenant, batch_id, after)
            except DatabaseUnavailable:
                yield KEEPALIVE_COMMENT
                await anyio.sleep(_AWAY_SECONDS)
                continue
            except JobDeleted:  # deleted meanwhile: nothing of it is told
                return
            if found:
                yield _written(found[-1], row)
                after = found[-1].id
            if row.finished_at is not None:
                return
            # A connection that is kept alive asks the database nothing.
            while anyio.current_time() < ends_at:
                with anyio.move_on_after(KEEP_ALIVE_SECONDS) as quiet:
                    await watch.woken()
                if not quiet.cancelled_caught:
                    break
                yield KEEPALIVE_COMMENT


def own(connection: Connection, batch_id: BatchId, tenant: Tenant) -> BatchRow:
    """Return a tenant's batch, which was there a moment ago.  Raises JobDeleted."""
    row = batches.find(connection, batch_id, tenant)
    if row is None:
        raise JobDeleted(f"batch {batch_id} was deleted; nothing of it is kept")
    return row


async def _happened(
    services: Services, tenant: Tenant, batch_id: BatchId, after: int
) -> tuple[list[Event], BatchRow]:
    def look(connection: Connection) -> tuple[list[Event], BatchRow]:
        # The batch first: should it finish between the two, its end is told the next time.
        row = own(connection, batch_id, tenant)
        return events.of_batch(connection, batch_id, after=after), row

    async with services.reading() as connection:
        found, row = await connection.run_sync(look)
    if row.finished_at is None:
        found = [event for event in found if event.type != EventType.BATCH_FINISHED]
    return found, row


def _written(event: Event, row: BatchRow) -> bytes:
    is_end = event.type == EventType.BATCH_FINISHED
    shown = batch_answers.batch(row) if is_end else batch_answers.summary(row)
    told = BatchEventAnswer(type=event.type, timestamp=event.at, data=shown)
    return format_sse_event(
        event=str(event.type), id=str(event.id), data_str=told.model_dump_json()
    )
