"""Endpoint for the ends of all jobs and batches of a tenant, for programs that poll."""

from typing import Annotated

from fastapi import APIRouter, Query

from smart_filter_api.presenters.fields import render_as
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.schemas.webhooks import EndedEvent, EndedEventPage
from smart_filter_api.services.callers import Reader
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.queue import events

router = APIRouter(prefix="/v1/events", tags=["webhooks"])

_MAX_PAGE_SIZE = 1000


@router.get(
    "",
    summary="List the ends of jobs and batches",
    description="For programs that no webhook can reach, such as `smart-filter webhooks listen`. "
    "Without `cursor` the list is empty; poll with the `next_cursor` of each answer, every second "
    "or few. An event can come again, with the same `id`; a cursor that rests for minutes on a "
    "busy server can miss events.",
    responses=describe_responses("malformed_request", "unauthorized", "scope", "unavailable"),
)
async def list_events(
    services: OpenServices,
    caller: Reader,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> EndedEventPage:
    """Return the ends of the tenant's jobs and batches since a cursor, the oldest first."""
    after = None if cursor is None else int(cursor)
    page = await services.database.query(
        events.read_ends, caller.tenant, after=after, most=_MAX_PAGE_SIZE
    )
    return EndedEventPage(
        items=[render_as(EndedEvent, end, id=str(end.id), timestamp=end.at) for end in page.ends],
        next_cursor=str(page.cursor),
    )
