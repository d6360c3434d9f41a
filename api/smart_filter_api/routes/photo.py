"""The photo of a job, to be looked at beside what was made of it."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from smart_filter_api import objects
from smart_filter_api.deps import OpenServices, Reader
from smart_filter_api.objects import File
from smart_filter_api.problems import documented
from smart_filter_api.routes import jobs
from smart_filter_shared.errors import InputsExpired, JobNotFinished, NotFound, ObjectMissing
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.pipeline import StageName

router = APIRouter(prefix="/v1/jobs/{job_id}/photo", tags=["jobs"])

_PREVIEW = "preview"
_CALLED = {"jpg": "jpeg"}  # other media types are called as their formats are


@router.get(
    "",
    summary="Fetch the photo",
    description="As the coordinates of the job mean it: upright, as JPEG, no side above 1024 "
    "pixels, without metadata; as soon as the job shows `photo`. `original=1` answers the bytes "
    "that were sent, with all their metadata: who shows them turns them as their EXIF says, then "
    "by `photo.quarter_turns`.",
    response_class=Response,
    responses={
        200: {
            "description": "the photo",
            "content": {
                "image/jpeg": {},
                "image/png": {},
                "image/webp": {},
                "image/avif": {},
                "image/heic": {},
            },
        },
        304: {"description": "If-None-Match names what the photo still is"},
        **documented(
            "malformed_request",
            "unauthorized",
            "scope",
            "not_found",
            "job_not_finished",
            "job_deleted",
            "inputs_expired",
            "unavailable",
        ),
    },
)
async def fetch(
    job_id: str,
    services: OpenServices,
    caller: Reader,
    *,
    original: bool = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Answer the photo of a job while it is kept."""

    def look(connection: Connection) -> File:
        job = jobs.found(connection, job_id, caller.tenant)
        prepared = _prepared(job)
        file = _original(job, prepared) if original else _preview(job, prepared)
        if not retention.is_kept(connection, job.tenant, file.key):
            raise _gone(job_id)
        return file

    async with services.reading() as connection:
        file = await connection.run_sync(look)
    try:
        return await objects.answered(services, file, if_none_match)
    except ObjectMissing as error:
        raise _gone(job_id) from error


def _prepared(job: JobRow) -> Json:
    """Return what `prepare` has stored."""
    if job.expired_at is not None:
        raise _gone(str(job.id))
    prepared = job.result(StageName.PREPARE)
    if prepared is not None:
        return prepared
    if job.finished_at is None:
        raise JobNotFinished(f"the photo of job {job.id} was not looked at yet; ask again soon")
    raise NotFound(f"job {job.id} has {job.state} before its photo was looked at")


def _preview(job: JobRow, prepared: Json) -> File:
    known = prepared["files"].get(_PREVIEW)
    if known is None:
        raise NotFound(f"an older worker has prepared job {job.id}: original=1 answers its photo")
    return File(str(known["key"]), str(known["media_type"]), int(known["bytes"]))


def _original(job: JobRow, prepared: Json) -> File:
    if job.photo_key is None:
        raise _gone(str(job.id))
    format_ = str(prepared["facts"]["format"])
    return File(job.photo_key, f"image/{_CALLED.get(format_, format_)}")


def _gone(job_id: str) -> InputsExpired:
    return InputsExpired(f"the photo of job {job_id} is not kept any more")
