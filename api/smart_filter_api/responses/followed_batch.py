"""Read a batch and its events for long polls and event streams."""

from dataclasses import dataclass, replace
from typing import Final

from fastapi.sse import format_sse_event
from sqlalchemy import Connection

from smart_filter_api.http import documents
from smart_filter_api.presenters import batch as batch_answers
from smart_filter_api.responses.long_poll import EventPage
from smart_filter_api.schemas.jobs import BatchEvent
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import JobDeleted
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.queue import batches, events
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.events import EventType

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
            return await services.database.query(_find, self)

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


def _find(connection: Connection, batch: FollowedBatch) -> BatchRow:
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
        batch_answers.render_batch(_find(connection, batch))
        if is_last
        else batch_answers.render_summary(row)
    )
    answer = BatchEvent(type=event.type, timestamp=event.at, data=shown)
    message = format_sse_event(
        event=str(event.type), id=str(event.id), data_str=documents.encode(answer).decode()
    )
    return EventPage((message,), last_id=event.id, is_last=is_last)
