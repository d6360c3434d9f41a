"""Write the results of S3 folders' jobs to their targets, and reports of those that have none.

Writing the same outcome again changes nothing, so a process that dies between its steps leaves
the rest to another: the row stays pending, and its lease runs out.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy import Connection

from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.problems import catalog
from smart_filter_api.s3_folders import rows
from smart_filter_api.s3_folders.folder_stores import REPORT_SUFFIX, FolderStores
from smart_filter_api.s3_folders.rows import Due, Taken
from smart_filter_api.services.container import Services
from smart_filter_shared.artifacts import expiry, retention
from smart_filter_shared.errors import ObjectMissing, TryAgain
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Output
from smart_filter_shared.telemetry.logs import logger

_log = logger("s3_folders")

_EXTENSIONS: Final = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "image/avif": (".avif",),
}
# Extensions that the result's replaces; it is added to any other name.
_PICTURES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif"),
        *(".tif", ".tiff", ".bmp", ".gif"),
    }
)
_EXPIRED: Final = ("output_expired", "the result had expired when it could be written")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is written: the file of a picture, or why there is none."""

    file: Json | None = None
    code: str | None = None
    detail: str | None = None


async def write_outcome(services: Services, stores: FolderStores, due: Due) -> None:
    """Write the outcome of a claimed object; when that fails, make it due again later.

    Raises DatabaseUnavailable; then its lease runs out.
    """
    taken = due.taken
    source = f"s3://{taken.bucket}/{taken.key}"
    try:
        outcome = await _write(services, stores, due)
    except Exception as error:  # noqa: BLE001 - the top of a write: others go on
        if not isinstance(error, TryAgain):
            _log.exception("s3_result_failed", source=source)
        wait = await services.database.transact(rows.retry_later, due, str(error))
        _log.warning(
            "s3_result_not_written", source=source, reason=str(error), retry_after_seconds=wait
        )
        return
    if outcome.code is not None:
        _log.warning("s3_object_failed", source=source, code=outcome.code, detail=outcome.detail)


async def _write(services: Services, stores: FolderStores, due: Due) -> _Outcome:
    taken = due.taken
    outcome = await services.database.query(_find_outcome, taken)
    if outcome.file is not None:
        outcome = await _write_picture(services, stores, due, outcome.file)
    if outcome.code is not None and outcome.code != "invalid_key":
        # A key that cannot be read cannot be written either.
        await _write_report(services, stores, due, outcome)

    def conclude(connection: Connection) -> None:
        rows.finish(connection, taken, code=outcome.code, detail=outcome.detail)
        if outcome.code is None and taken.job_id is not None:
            expiry.mark_downloaded(connection, taken.job_id, taken.tenant, str(Output.IMAGE))

    await services.database.transact(conclude)
    return outcome


async def _write_picture(
    services: Services, stores: FolderStores, due: Due, file: Json
) -> _Outcome:
    """Copy a picture to the target; return the outcome, without a code when it was written."""
    key, media_type, length = str(file["key"]), str(file["media_type"]), int(file["bytes"])
    try:
        content = await services.in_thread(
            partial(services.storage.get, key, most=length, length=length)
        )
    except ObjectMissing:
        return _Outcome(None, *_EXPIRED)
    result = _name_result(due.taken.target, media_type)
    if not await _reserve(services, stores, due, result):
        detail = f"the result of another object is s3://{result}; rename one of the two"
        return _Outcome(None, "name_taken", detail)
    await _put_object(services, stores, result, content, media_type)
    return _Outcome(file)


async def _write_report(
    services: Services, stores: FolderStores, due: Due, outcome: _Outcome
) -> None:
    report = f"{due.taken.target}{REPORT_SUFFIX}"
    if await _reserve(services, stores, due, report):
        content = _render_report(due.taken, outcome)
        await _put_object(services, stores, report, content, "application/json")


async def _put_object(
    services: Services, stores: FolderStores, place: str, content: bytes, media_type: str
) -> None:
    bucket, _, key = place.partition("/")
    await services.in_thread(
        partial(stores[bucket].put, key, content, length=len(content), media_type=media_type)
    )


def _find_outcome(connection: Connection, taken: Taken) -> _Outcome:
    if taken.code is not None or taken.job_id is None:
        return _Outcome(None, taken.code or "internal", taken.detail)
    job = queries.find(connection, taken.job_id, taken.tenant)
    if job is None:
        return _Outcome(None, "job_deleted", "the job was deleted before its result was written")
    if job.state != JobState.SUCCEEDED:
        return _describe_failure(job)
    file = presenters_job.find_output_file(job, Output.IMAGE)
    if file is None or not retention.is_available(connection, taken.tenant, str(file["key"])):
        return _Outcome(None, *_EXPIRED)
    return _Outcome(file)


def _describe_failure(job: JobRow) -> _Outcome:
    if job.error is None:
        return _Outcome(None, "canceled", "the job was canceled")
    return _Outcome(None, str(job.error["code"]), str(job.error["detail"]))


async def _reserve(services: Services, stores: FolderStores, due: Due, result: str) -> bool:
    """Reserve the name of a result, and remove a result of an earlier version with another name.

    False when another object has the name, or when a newer version was taken.
    """
    if due.result is not None and due.result != result:
        bucket, _, key = due.result.partition("/")
        await services.in_thread(stores[bucket].remove, key)
    return await services.database.transact(rows.reserve, due.taken, result)


def _name_result(target: str, media_type: str) -> str:
    """Return the target with an extension of the result's media type."""
    suffix, accepted = PurePosixPath(target).suffix, _EXTENSIONS[media_type]
    if suffix.lower() in accepted:
        return target
    stem = target.removesuffix(suffix) if suffix.lower() in _PICTURES else target
    return f"{stem}{accepted[0]}"


def _render_report(taken: Taken, outcome: _Outcome) -> bytes:
    code = outcome.code or ""
    report = {
        "source": f"s3://{taken.bucket}/{taken.key}",
        "job": None if taken.job_id is None else str(taken.job_id),
        "code": code,
        "detail": outcome.detail,
        "remedy": catalog.find_remedy(code, of_job=taken.job_id is not None),
    }
    return json.dumps(report, ensure_ascii=False, indent=2).encode() + b"\n"
