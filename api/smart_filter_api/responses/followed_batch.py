"""Read a batch and its events for long polls and event streams."""

from dataclasses import dataclass

from fastapi.sse import format_sse_event
from sqlalchemy import Connection

from smart_filter_api.presenters import batch as batch_answers
from smart_filter_api.responses.long_poll import EventPage
from smart_filter_api.schemas.batches import BatchEvent
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import JobDeleted
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.queue import batches, events
from smart_filter_shared.queue.batches import BatchRow
from smart_filter_shared.queue.events import Event, EventType


@dataclass(frozen=True, slots=True)
class FollowedBatch:
    """A tenant's batch that existed a moment ago; implements `long_poll.Followed`."""

    tenant: Tenant
    batch_id: BatchId

    @property
    def watched_id(self) -> JobId:
        """The id under which changes of the batch are announced."""
        return JobId(self.batch_id)

    async def read(self, services: Services) -> BatchRow:
        """Return the batch.  Raises JobDeleted, DatabaseUnavailable."""
        async with services.reading() as connection:
            return await connection.run_sync(_find, self)

    async def read_events(self, services: Services, *, after: int) -> EventPage:
        """Return the events after one of them.  Raises JobDeleted, DatabaseUnavailable.

        Of several pending progress events only the last is returned, since it shows the current
        batch.
        """
        async with services.reading() as connection:
            found, row = await connection.run_sync(_find_events, self, after)
        if row.finished_at is None:
            found = [event for event in found if event.type != EventType.BATCH_FINISHED]
        return EventPage(
            [_format_event(event, row) for event in found[-1:]],
            last_id=found[-1].id if found else after,
            is_last=row.finished_at is not None,
        )


def _find(connection: Connection, batch: FollowedBatch) -> BatchRow:
    row = batches.find(connection, batch.batch_id, batch.tenant)
    if row is None:
        raise JobDeleted(f"batch {batch.batch_id} was deleted")
    return row


def _find_events(
    connection: Connection, batch: FollowedBatch, after: int
) -> tuple[list[Event], BatchRow]:
    # Read the batch first: if it finishes between the two reads, the next read sends its end.
    row = _find(connection, batch)
    return events.list_for_batch(connection, batch.batch_id, after=after), row


def _format_event(event: Event, row: BatchRow) -> bytes:
    is_end = event.type == EventType.BATCH_FINISHED
    shown = batch_answers.render_batch(row) if is_end else batch_answers.render_summary(row)
    answer = BatchEvent(type=event.type, timestamp=event.at, data=shown)
    return format_sse_event(
        event=str(event.type), id=str(event.id), data_str=answer.model_dump_json()
    )
