"""Endpoints for events: the ends of jobs and batches to poll, and photos put into S3 folders."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from smart_filter_api.http.documents import render_as
from smart_filter_api.intake import json_document
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.s3_folders import notifications
from smart_filter_api.s3_folders.service import S3Folders
from smart_filter_api.services.callers import Reader, Submitter
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.errors import NotFound
from smart_filter_shared.queue import events
from smart_filter_wire.webhooks import EndedEvent, EndedEventPage

router = APIRouter(prefix="/v1/events", tags=["webhooks"])

_MAX_PAGE_SIZE = 1000


@router.get(
    "",
    summary="List the ends of jobs and batches",
    description="For programs that no webhook can reach, such as `smart-filter webhooks listen`. "
    "Without `cursor` the list is empty; poll with the `next_cursor` of each answer, every second "
    "or few. An event can come again, with the same `id`; a cursor that rests for minutes on a "
    "busy server can miss events.",
    responses=describe_responses("malformed_request"),
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
        items=tuple(
            render_as(EndedEvent, end, id=str(end.id), timestamp=end.at) for end in page.ends
        ),
        next_cursor=str(page.cursor),
    )


# Not in the OpenAPI document: its callers are stores, which decide what they send.
@router.post("/s3", include_in_schema=False)
async def receive_s3_event(request: Request, caller: Submitter) -> dict[str, list[str]]:
    """Make jobs of the objects that an event names, and return the ids of the new ones.

    The answer follows their commit; after any error the store sends the event again.
    """
    folders: S3Folders | None = request.app.state.s3_folders
    if folders is None:
        raise NotFound("there are no S3 folders; set SMART_FILTER_S3_FOLDERS")
    changed = notifications.parse_notification(await json_document.read_body(request))
    return {"jobs": [str(job) for job in await folders.take_changed(caller.tenant, changed)]}
