"""Make jobs of the objects of S3 folders, one for each version of an object.

The service reads the object itself; nothing of an event but its bucket and key is used. The job
and the row of its version are written in one transaction: an event that arrives twice, or an
object that both an event and a search find, becomes one job.
"""

import contextlib
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy import Connection

from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import RecipeLayer
from smart_filter_api.http import downloads
from smart_filter_api.intake import body, multipart
from smart_filter_api.intake.body import PhotoRequest, SpooledPicture
from smart_filter_api.s3_folders import folder_stores, rows
from smart_filter_api.s3_folders.rows import Taken
from smart_filter_api.services.container import Services
from smart_filter_api.submission import commit, recipe_parser, submit
from smart_filter_api.submission.commit import AcceptedJob, JobSubmission
from smart_filter_shared.config.values import S3Folder
from smart_filter_shared.errors import (
    Conflict,
    InvalidRecipe,
    ObjectMissing,
    ObjectReplaced,
    ObjectTooLarge,
    PhotoTooLarge,
    S3FolderMisconfigured,
    StorageUnavailable,
    UnsupportedMedia,
)
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.recipe import Output
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_shared.storage.objects import ObjectStore, StoredObject

# An object that is replaced while it is taken is read again.
_MAX_READS: Final = 3
# Of an object that is never read.
_NO_VERSION: Final = "-"


class _Changed(Conflict):
    """The object, or its row, has changed since it was read."""


async def find_caller(services: Services, folder: S3Folder) -> Caller:
    """Return the tenant of a folder as the caller of its jobs.

    Raises S3FolderMisconfigured when the recipe is not valid, DatabaseUnavailable.
    """
    caller = await services.database.query(
        api_keys.call_for_tenant, Tenant(folder.tenant), usual=services.limits.usual
    )
    try:
        parsed = await recipe_parser.read_recipe(
            services,
            caller,
            folder.fields,
            layers=[RecipeLayer(caller.recipe)],
            with_background_file=False,
        )
    except InvalidRecipe as error:
        raise S3FolderMisconfigured(
            f"the recipe of {folder.source} is not valid: {error}"
        ) from None
    if Output.IMAGE not in parsed.recipe.outputs:
        raise S3FolderMisconfigured(f"the recipe of {folder.source} lacks the output image")
    return caller


async def take_object(
    services: Services, store: ObjectStore, folder: S3Folder, caller: Caller, key: str
) -> JobId | None:
    """Make a job of an object of a folder's source, unless its version has one; return its id.

    An object that cannot become a job gets a row with the reason, which is reported in the target.
    Raises StorageUnavailable, DatabaseUnavailable, QueueFull, ServiceFull and RateLimited; then
    nothing is written.
    """
    for _ in range(_MAX_READS):
        with contextlib.suppress(_Changed):
            return await _take_once(services, store, folder, caller, key)
    raise StorageUnavailable(f"s3://{store.bucket}/{key} changes while it is read")


async def _take_once(
    services: Services, store: ObjectStore, folder: S3Folder, caller: Caller, key: str
) -> JobId | None:
    """Take an object, as `take_object` does.  Raises _Changed when it must be read again."""
    target = folder_stores.target_of(folder, key)
    versions = await services.database.query(rows.find_versions, store.bucket, [key])
    taken = Taken(store.bucket, key, _NO_VERSION, caller.tenant, target, before=versions.get(key))
    bad = folder_stores.describe_bad_key(key, target)
    if bad is not None:
        await _refuse(services, replace(taken, code="invalid_key", detail=bad))
        return None
    with ExitStack() as open_files:
        try:
            stored = await services.in_thread(store.look, key)
            taken = replace(taken, version=folder_stores.version_of(stored))
            if taken.version == taken.before:
                return None
            photo = await _read_photo(services, store, stored, open_files)
        except ObjectMissing:
            await services.database.transact(rows.forget, store.bucket, key)
            return None
        except (PhotoTooLarge, UnsupportedMedia) as error:
            await _refuse(services, replace(taken, code=error.code, detail=str(error)))
            return None
        return await _submit(services, folder, caller, taken, photo)


async def _read_photo(
    services: Services, store: ObjectStore, stored: StoredObject, open_files: ExitStack
) -> SpooledPicture:
    """Return the photo that an object holds.

    Raises _Changed, ObjectMissing, PhotoTooLarge, UnsupportedMedia, StorageUnavailable.
    """
    if stored.length > MAX_PHOTO_BYTES:
        raise multipart.picture_too_large()
    get = partial(store.get, most=stored.length, etag=stored.etag or None)
    try:
        content = await services.in_thread(get, stored.key)
    except (ObjectReplaced, ObjectTooLarge) as error:
        raise _Changed(stored.key) from error
    if await services.in_thread(store.look, stored.key) != stored or len(content) != stored.length:
        raise _Changed(stored.key)
    spool = body.open_spool(open_files)
    await spool.take(content)
    return await spool.judged(multipart.PICTURES[multipart.PHOTO])


async def _submit(
    services: Services, folder: S3Folder, caller: Caller, taken: Taken, photo: SpooledPicture
) -> JobId:
    name = downloads.clean_file_name(PurePosixPath(taken.key).name)
    request = PhotoRequest(photo, None, folder.fields, photo_name=name)
    submission = await submit.prepare_submission(services, caller, request)
    taken = replace(taken, job_id=submission.job.job_id)
    async with commit.open_submission(services, caller, submission) as call:
        accepted = await call(_insert, services, caller, submission, taken)
    services.doorbell.ring(accepted.ringing)
    return accepted.job.id


def _insert(
    connection: Connection,
    services: Services,
    caller: Caller,
    submission: JobSubmission,
    taken: Taken,
) -> AcceptedJob:
    # The row first: it waits for another process that takes the object.
    if not rows.take(connection, taken):
        raise _Changed(taken.key)
    return commit.insert_job(connection, services, caller, submission)


async def _refuse(services: Services, taken: Taken) -> None:
    """Write the row of an object that cannot become a job, unless it is there already."""
    if taken.version != taken.before:
        async with services.database.transaction() as connection:
            if not await connection.run_sync(rows.take, taken):
                raise _Changed(taken.key)
