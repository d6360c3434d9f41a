"""Read a job and its events for long polls and event streams."""

import contextlib
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

import anyio
from fastapi.sse import format_sse_event
from sqlalchemy import Connection

from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.responses.long_poll import EventPage
from smart_filter_api.schemas.jobs import JobEvent
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import DatabaseUnavailable, JobDeleted
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import FINAL_TYPES, Event

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
