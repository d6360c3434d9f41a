"""Waiting in HTTP's words: `Prefer: wait=n`, and a job's events as they happen (SSE)."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Final

import anyio
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import Connection

from smart_filter_api import shown
from smart_filter_api.deps import Services
from smart_filter_api.schemas.jobs import EventAnswer
from smart_filter_shared.errors import DatabaseUnavailable, JobDeleted
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import events, queries
from smart_filter_shared.jobs.events import FINAL, Event
from smart_filter_shared.jobs.queries import JobRow

APPLIED: Final = "Preference-Applied"
MOST_WAIT_SECONDS: Final = 60
# Proxies cut connections on which nothing comes for a minute or so.
KEEP_ALIVE_SECONDS: Final = 15.0
# Then the client comes again, with a key that is looked at anew.
_STREAM_SECONDS: Final = 300.0
_COME_AGAIN_MS: Final = 1000
# Before the database is asked again for those who follow.
_AWAY_SECONDS: Final = 1.0

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?:$|[,;])', re.IGNORECASE)


def preferred_seconds(prefer: str | None) -> int | None:
    """Return how long `Prefer: wait=n` would wait, at most a minute; None without it.

    Source: RFC 7240, 4.3; preferences that are not understood are passed over (2).
    """
    found = _WAIT.search(prefer or "")
    return None if found is None else min(int(found[1]), MOST_WAIT_SECONDS)


async def until(
    services: Services,
    tenant: Tenant,
    job_id: JobId,
    *,
    seconds: float,
    changed_from: JobRow | None = None,
) -> JobRow:
    """Return a job when it has ended, or as it is after so many seconds.

    changed_from: what the caller knows of it; then it is returned as soon as it is another.
    Raises JobDeleted as soon as it is deleted, DatabaseUnavailable.
    """
    deadline = anyio.current_time() + seconds
    with services.watching.of(job_id, ends_only=changed_from is None) as watch:
        while True:
            job = await _read(services, tenant, job_id)
            if job.finished_at is not None or (changed_from is not None and job != changed_from):
                return job
            with anyio.move_on_at(deadline) as waited:
                await watch.woken()
            if waited.cancelled_caught:
                # It may have begun since: only its end would have woken this watch.
                return await _read(services, tenant, job_id)


async def stream(
    services: Services, tenant: Tenant, job_id: JobId, *, after: int
) -> AsyncIterator[bytes]:
    """Yield a job's events behind one of them, as SSE, until the last one or five minutes.

    Source: WHATWG HTML, 9.2 Server-sent events.
    """
    ends_at = anyio.current_time() + _STREAM_SECONDS
    yield format_sse_event(retry=_COME_AGAIN_MS)
    with services.watching.of(job_id) as watch:
        while anyio.current_time() < ends_at:
            try:
                found, job = await _happened(services, tenant, job_id, after)
            except DatabaseUnavailable:
                yield KEEPALIVE_COMMENT
                await anyio.sleep(_AWAY_SECONDS)
                continue
            except JobDeleted:  # deleted meanwhile: nothing of it is told
                return
            if found and job.finished_at is None:
                with contextlib.suppress(DatabaseUnavailable):
                    await services.forecasts.refresh()
            for event in found:
                yield _written(event, job, services)
                after = event.id
            if job.finished_at is not None and (not found or found[-1].type in FINAL):
                return
            # A connection that is kept alive asks the database nothing.
            while anyio.current_time() < ends_at:
                with anyio.move_on_after(KEEP_ALIVE_SECONDS) as quiet:
                    await watch.woken()
                if not quiet.cancelled_caught:
                    break
                yield KEEPALIVE_COMMENT


async def _happened(
    services: Services, tenant: Tenant, job_id: JobId, after: int
) -> tuple[list[Event], JobRow]:
    def look(connection: Connection) -> tuple[list[Event], JobRow]:
        # The job last: it knows of every event that is told with it. Should it have ended
        # between the two, its end is there to be read now.
        found = events.of_job(connection, job_id, after=after)
        job = _own(connection, job_id, tenant)
        if job.finished_at is not None:
            found = events.of_job(connection, job_id, after=after)
        return found, job

    async with services.reading() as connection:
        return await connection.run_sync(look)


async def _read(services: Services, tenant: Tenant, job_id: JobId) -> JobRow:
    async with services.reading() as connection:
        return await connection.run_sync(_own, job_id, tenant)


def _own(connection: Connection, job_id: JobId, tenant: Tenant) -> JobRow:
    row = queries.find(connection, job_id, tenant)
    if row is None:
        raise JobDeleted(f"job {job_id} was deleted; nothing of it is kept")
    return row


def _written(event: Event, job: JobRow, services: Services) -> bytes:
    told = EventAnswer(type=event.type, timestamp=event.at, data=shown.job(job, services))
    return format_sse_event(
        event=str(event.type), id=str(event.id), data_str=told.model_dump_json()
    )
