"""Wait for jobs and batches: long polls with `Prefer: wait=n`, and event streams (SSE)."""

import contextlib
import datetime as dt
import math
import re
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Protocol, TypeVar

import anyio
from fastapi import Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.auth.links import LinkTerms
from smart_filter_api.http import documents
from smart_filter_api.limits import end_on_disconnect
from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.schemas.submissions import BatchEvent, JobEvent
from smart_filter_api.services.container import Services
from smart_filter_api.services.loops import JobWatch
from smart_filter_shared.errors import DatabaseUnavailable, JobDeleted
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue import batches, events
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.events import FINAL_TYPES, Event, EventType

EVENT_STREAM: Final = "text/event-stream"
APPLIED_HEADER: Final = "Preference-Applied"
MAX_WAIT_SECONDS: Final = 60
# Interval of keep-alive comments; proxies close connections that are silent for about a minute.
KEEP_ALIVE_SECONDS: Final = 15.0
# Longest stream; the client then reconnects, and its key is checked again.
_MAX_STREAM_SECONDS: Final = 300.0
_RECONNECT_MS: Final = 1000
# Pause of a stream after the database was unavailable.
_RETRY_SECONDS: Final = 1.0

# An event's id is a PostgreSQL bigint.
LastEventId = Annotated[int, Header(ge=0, le=2**63 - 1)]
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?0*([0-9]+)"?\s*(?:$|[,;])', re.IGNORECASE)

# Followers share a read for at most this long.
_SHARED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of a job or batch as SSE messages.

    last_id: the id to continue after.  is_last: whether no more events will follow.
    """

    messages: Sequence[bytes]
    last_id: int
    is_last: bool


class EndingRow(Protocol):
    """A job or batch as stored; finished_at: None until it has ended."""

    @property
    def finished_at(self) -> dt.datetime | None:
        """When it ended."""


Row_co = TypeVar("Row_co", bound=EndingRow, covariant=True)
Row = TypeVar("Row", bound=EndingRow)


class Followed(Protocol[Row_co]):
    """A job or batch that a request follows."""

    @property
    def watched_id(self) -> JobId:
        """The id under which its changes are announced."""

    @property
    def rest_seconds(self) -> float:
        """The least time between two reads of its events, unless it ends; 0 for none."""

    async def read(self, services: Services) -> Row_co:
        """Return its current state.  Raises JobDeleted, DatabaseUnavailable."""

    async def read_events(self, services: Services, *, after: int) -> EventPage:
        """Return the events after one of them.  Raises JobDeleted, DatabaseUnavailable."""


def preferred_seconds(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=n`, at most 60; None without it.

    Source: RFC 7240, 4.3; unknown preferences are ignored (2).
    """
    match = _WAIT.search(prefer or "")
    if match is None:
        return None
    # Three digits are enough to tell, and Python parses no number of thousands.
    return min(int(match[1][:3]), MAX_WAIT_SECONDS)


async def wait_for_end(
    services: Services,
    request: Request | None,
    followed: Followed[Row],
    *,
    seconds: float,
    changed_from: Row | None = None,
) -> Row:
    """Wait until a job or batch has ended or the server stops, at most `seconds`, and return it.

    request: its client's leaving ends the wait; None: nothing does.
    changed_from: the row as the caller knows it; the wait then ends as soon as it differs.
    Raises ClientDisconnect, JobDeleted as soon as it is deleted, DatabaseUnavailable.
    """
    with services.events.watch(followed.watched_id, ends_only=changed_from is None) as watch:
        row = await followed.read(services)
        return await wait_from(
            row, services, request, followed, watch, seconds=seconds, changed_from=changed_from
        )


async def wait_from(
    row: Row,
    services: Services,
    request: Request | None,
    followed: Followed[Row],
    watch: JobWatch,
    *,
    seconds: float,
    changed_from: Row | None,
) -> Row:
    """Wait as `wait_for_end` does, and return the job or batch.

    row: its state, read after the watch began.
    """
    deadline = anyio.current_time() + seconds
    async with contextlib.nullcontext() if request is None else end_on_disconnect(request):
        while row.finished_at is None and (changed_from is None or row == changed_from):
            if services.events.are_waits_over:
                break
            with anyio.move_on_at(deadline) as waited:
                await watch.woken()
            # Also at the deadline: it may have started, and only its end wakes this watch.
            row = await followed.read(services)
            if waited.cancelled_caught:
                break
    return row


class EventStream(StreamingResponse):
    """The answer that streams events; it counts as one of its caller's streams while it lasts.

    Raises RateLimited when it begins, if the caller has too many.
    """

    def __init__(self, services: Services, caller: Caller, messages: AsyncIterator[bytes]) -> None:
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(messages, media_type=EVENT_STREAM, headers=headers)
        self._waits = services.limits.waits
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        with self._waits.hold(self._caller):
            await super().__call__(scope, receive, send)


async def stream_events(
    services: Services, followed: Followed[EndingRow], *, after: int
) -> AsyncIterator[bytes]:
    """Yield the events after one of them, as SSE, until the last one or five minutes.

    A server that stops ends the stream; the client then reconnects.

    Source: WHATWG HTML, 9.2 Server-sent events.
    """
    ends_at = anyio.current_time() + _MAX_STREAM_SECONDS
    yield format_sse_event(retry=_RECONNECT_MS)
    with services.events.watch(followed.watched_id) as watch:
        while anyio.current_time() < ends_at and not services.events.are_waits_over:
            try:
                page = await followed.read_events(services, after=after)
            except DatabaseUnavailable:
                yield KEEPALIVE_COMMENT
                await anyio.sleep(_RETRY_SECONDS)
                continue
            except JobDeleted:  # deleted meanwhile: end the stream
                return
            for message in page.messages:
                yield message
            if page.is_last:
                return
            after = page.last_id
            if followed.rest_seconds:
                # At whole multiples, so that all streams of it share one read.
                rests = math.floor(anyio.current_time() / followed.rest_seconds) + 1
                await watch.rest_until(rests * followed.rest_seconds)
            # Keep-alive comments need no query.
            while anyio.current_time() < ends_at:
                with anyio.move_on_after(KEEP_ALIVE_SECONDS) as quiet:
                    await watch.woken()
                if not quiet.cancelled_caught:
                    break
                yield KEEPALIVE_COMMENT


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
        presenters_job.render_batch(_find_batch(connection, batch))
        if is_last
        else presenters_job.render_summary(row)
    )
    answer = BatchEvent(type=event.type, timestamp=event.at, data=shown)
    message = format_sse_event(
        event=str(event.type), id=str(event.id), data_str=documents.encode(answer).decode()
    )
    return EventPage((message,), last_id=event.id, is_last=is_last)
