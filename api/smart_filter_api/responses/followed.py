"""Read jobs, batches and their events for long polls and event streams."""

import contextlib
import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
from fastapi.sse import format_sse_event
from sqlalchemy import Connection

from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.presenters import job as batch_answers
from smart_filter_api.responses.long_poll import EventPage
from smart_filter_api.schemas.jobs import BatchEvent, JobEvent
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import DatabaseUnavailable, JobDeleted
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue import batches, events
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.events import FINAL_TYPES, Event, EventType

# Followers share a read for at most this long.
_SHARED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class FollowedJob:
    """A tenant's job that existed a moment ago; implements `long_poll.Followed`.

    links: how the links to its outputs are signed in its events, as in `render_job`.
    """

    tenant: Tenant
    watched_id: JobId
    links: LinkTerms | None

    @property
    def rest_seconds(self) -> float:
        """Every event is shown as it happens."""
        return 0.0

    async def read(self, services: Services) -> JobRow:
        """Return the job.  Raises JobDeleted, DatabaseUnavailable."""

        async def read_row() -> JobRow:
            return await services.database.query(_find, self)

        return await services.caches.job_reads.get(self._shared_as("job"), read_row)

    async def read_events(self, services: Services, *, after: int) -> EventPage:
        """Return the events after one of them.  Raises JobDeleted, DatabaseUnavailable."""

        async def read_job_events() -> _JobEvents:
            job_events = await services.database.query(_find_events, self)
            if job_events.row.finished_at is None:
                with contextlib.suppress(DatabaseUnavailable):
                    await services.eta.refresh()
            return job_events

        job_events = await services.caches.job_reads.get(self._shared_as("events"), read_job_events)
        following = [event for event in job_events.events if event.id > after]
        return EventPage(
            [job_events.message(event, services, self.links) for event in following],
            last_id=following[-1].id if following else after,
            is_last=job_events.row.finished_at is not None
            and (not following or following[-1].type in FINAL_TYPES),
        )

    def _shared_as(self, what: str) -> Hashable:
        # Time is a part, since an ETA and the expiry of links change without an event.
        second = math.floor(anyio.current_time() / _SHARED_SECONDS)
        return self.tenant, self.watched_id, what, second


@dataclass(frozen=True, slots=True)
class _JobEvents:
    """All events of a job, and its state after them; each is rendered once for all followers."""

    events: list[Event]
    row: JobRow
    messages: dict[tuple[int, LinkTerms | None], bytes] = field(default_factory=dict)

    def message(self, event: Event, services: Services, links: LinkTerms | None) -> bytes:
        key = event.id, links
        if key not in self.messages:
            self.messages[key] = _format_event(event, self.row, services, links)
        return self.messages[key]


def _find(connection: Connection, job: FollowedJob) -> JobRow:
    row = queries.find(connection, job.watched_id, job.tenant)
    if row is None:
        raise JobDeleted(f"job {job.watched_id} was deleted")
    return row


def _find_events(connection: Connection, job: FollowedJob) -> _JobEvents:
    # Read the job after its events, so it is at least as new. If it ended in between, read the
    # events again.
    listed = events.list_for_job(connection, job.watched_id)
    row = _find(connection, job)
    if row.finished_at is not None:
        listed = events.list_for_job(connection, job.watched_id)
    return _JobEvents(listed, row)


def _format_event(event: Event, row: JobRow, services: Services, links: LinkTerms | None) -> bytes:
    shown = services.render_job(row, links=links)
    answer = JobEvent(type=event.type, stage=event.stage, timestamp=event.at, data=shown)
    return format_sse_event(
        event=str(event.type), id=str(event.id), data_str=documents.encode(answer).decode()
    )


_PROGRESS_SECONDS: Final = 1.0
# Memory of an item without an error, measured with tracemalloc.
_ITEM_BYTES: Final = 220


@dataclass(frozen=True, slots=True)
class FollowedBatch:
    """A tenant's batch that existed a moment ago; implements `long_poll.Followed`."""

    tenant: Tenant
    batch_id: BatchId

    @property
    def watched_id(self) -> JobId:
        """The id under which changes of the batch are announced."""
        return JobId(self.batch_id)

    @property
    def rest_seconds(self) -> float:
        """Progress is shown at most this often."""
        return _PROGRESS_SECONDS

    async def read(self, services: Services) -> BatchRow:
        """Return the batch.  Raises JobDeleted, DatabaseUnavailable."""

        async def read_row() -> BatchRow:
            return await services.database.query(_find_batch, self)

        return await services.caches.batch_reads.get(self, read_row, weigh=_estimate_bytes)

    async def read_events(self, services: Services, *, after: int) -> EventPage:
        """Return the last event, unless it is not after this one.

        Of several pending progress events only the last is returned, since it shows the current
        batch.  Raises JobDeleted, DatabaseUnavailable.
        """

        async def read_page() -> EventPage:
            return await services.database.query(_read_page, self)

        page = await services.caches.batch_reads.get(
            (self, "events"), read_page, weigh=lambda page: sum(map(len, page.messages))
        )
        return page if page.last_id > after else replace(page, messages=(), last_id=after)


def _estimate_bytes(row: BatchRow) -> int:
    errors = (str(item.error) for item in row.items or () if item.error is not None)
    return _ITEM_BYTES * row.total + sum(map(len, errors))


def _find_batch(connection: Connection, batch: FollowedBatch) -> BatchRow:
    row = batches.find(connection, batch.batch_id, batch.tenant)
    if row is None:
        raise JobDeleted(f"batch {batch.batch_id} was deleted")
    return row


def _read_page(connection: Connection, batch: FollowedBatch) -> EventPage:
    """Return the last event with the batch, whose items are read only when it has finished."""
    # Read the batch first: if it finishes between the two reads, the next read sends its end.
    row = batches.find_summary(connection, batch.batch_id, batch.tenant)
    if row is None:
        raise JobDeleted(f"batch {batch.batch_id} was deleted")
    is_last = row.finished_at is not None
    type_ = EventType.BATCH_FINISHED if is_last else EventType.BATCH_PROGRESS
    event = events.find_last(connection, batch.batch_id, type_)
    if event is None:
        return EventPage((), last_id=0, is_last=is_last)
    shown = (
        batch_answers.render_batch(_find_batch(connection, batch))
        if is_last
        else batch_answers.render_summary(row)
    )
    answer = BatchEvent(type=event.type, timestamp=event.at, data=shown)
    message = format_sse_event(
        event=str(event.type), id=str(event.id), data_str=documents.encode(answer).decode()
    )
    return EventPage((message,), last_id=event.id, is_last=is_last)
