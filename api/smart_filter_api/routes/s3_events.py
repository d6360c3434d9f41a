"""Endpoint for events of an object store: photos that were put into an S3 folder become jobs."""

from fastapi import APIRouter, Request

from smart_filter_api.intake import json_document
from smart_filter_api.s3_folders import notifications
from smart_filter_api.s3_folders.service import S3Folders
from smart_filter_api.services.callers import Submitter
from smart_filter_shared.errors import NotFound

router = APIRouter(prefix="/v1/events")


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
