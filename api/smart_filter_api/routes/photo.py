"""Endpoint for the photo of a job, for comparison with its outputs."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import stored_object
from smart_filter_api.responses.stored_object import Downloader, StoredObject
from smart_filter_api.routes import jobs
from smart_filter_api.services.container import OpenServices
from smart_filter_shared.artifacts import retention
from smart_filter_shared.errors import InputsExpired, JobNotFinished, NotFound, ObjectMissing
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import PreparedFacts, read_facts

router = APIRouter(prefix="/v1/jobs/{job_id}/photo", tags=["jobs"])

_PREVIEW = "preview"
_MEDIA_SUBTYPES = {"jpg": "jpeg"}  # other subtypes equal the name of the format


@router.get(
    "",
    summary="Download the photo",
    description="The photo in the coordinate system of the job: upright, as JPEG, with sides of at "
    "most 1024 pixels and without metadata. It is available as soon as the job has `photo`. "
    "`original=1` returns the submitted bytes with all metadata; to show them upright, apply "
    "their EXIF orientation, then `photo.quarter_turns`.",
    response_class=Response,
    responses={
        200: {
            "description": "The photo",
            "content": {
                "image/jpeg": {},
                "image/png": {},
                "image/webp": {},
                "image/avif": {},
                "image/heic": {},
                "image/gif": {},
                "image/bmp": {},
                "image/tiff": {},
            },
        },
        304: {"description": "Not modified: `If-None-Match` names the current version"},
        **describe_responses(
            *("malformed_request", "not_found", "job_not_finished", "job_deleted"), "inputs_expired"
        ),
    },
)
async def get_photo(
    job_id: str,
    services: OpenServices,
    caller: Downloader,
    *,
    original: bool = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the photo of a job until it expires."""

    def look(connection: Connection) -> StoredObject:
        job = jobs.find_job(connection, job_id, caller.tenant)
        prepared = _prepare_stage_result(job)
        file = _original_object(job, prepared) if original else _preview_object(prepared)
        if not retention.is_available(connection, job.tenant, file.key):
            raise _expired_error(job_id)
        return file

    file = await services.database.query(look)
    try:
        return await stored_object.serve_object(services, file, if_none_match)
    except ObjectMissing as error:
        raise _expired_error(job_id) from error


def _prepare_stage_result(job: JobRow) -> Json:
    """Return the result of the stage `prepare`.  Raises InputsExpired, JobNotFinished, NotFound."""
    if job.expired_at is not None:
        raise _expired_error(str(job.id))
    prepared = job.result(StageName.PREPARE)
    if prepared is not None:
        return prepared
    if job.finished_at is None:
        raise JobNotFinished(f"the photo of job {job.id} is not prepared yet; try again soon")
    raise NotFound(f"job {job.id} ended as {job.state} before its photo was prepared")


def _preview_object(prepared: Json) -> StoredObject:
    preview = prepared["files"][_PREVIEW]
    return StoredObject(str(preview["key"]), str(preview["media_type"]), int(preview["bytes"]))


def _original_object(job: JobRow, prepared: Json) -> StoredObject:
    if job.photo_key is None:
        raise _expired_error(str(job.id))
    facts = read_facts(prepared, PreparedFacts)
    assert facts is not None, "there is a result"
    subtype = _MEDIA_SUBTYPES.get(facts.format, facts.format)
    return StoredObject(job.photo_key, f"image/{subtype}")


def _expired_error(job_id: str) -> InputsExpired:
    return InputsExpired(f"the photo of job {job_id} has expired")
