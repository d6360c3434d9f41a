"""Jobs: submit, read, list, cancel, redrive, derive, delete."""

import dataclasses
import datetime as dt
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from smart_filter_client.errors import Forbidden, Gone, NotFound, ServerUnreachable
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models import Job, JobState, job_from
from smart_filter_client.operations import photos
from smart_filter_client.operations.pagination import iterate_list
from smart_filter_client.operations.photos import Photo, Picture, Upload
from smart_filter_client.operations.recipes import to_form_fields, with_wait
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_client.requests import Request, path


async def submit(
    client: Connection,
    photo: Photo,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    upload: bool | None = None,
    expires_in: int | None = None,
    download: str | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Submit a photo with a recipe; return the job, which is queued.

    photo: a file, its bytes, an open binary file, an address (`https://…`) that the server
        fetches, or an Upload.
    recipe: fields by name, such as {"background": "auto", "outputs": ["image", "matte"],
        "metadata": {"album": "beach"}}.
    background_file: a picture as background; it sets the background `file`
        unless the recipe names one.
    webhook_url: an address that is notified when the job has ended, in addition to the
        webhooks.
    wait: return the job when it is final, or after this many seconds, 60 at most.
    upload: whether the photo is uploaded straight to the storage instead of through the API;
        None: if it is large, and the server and its storage support that. Not with an
        idempotency_key of your own: each upload is another, so a repeated request would differ.
    expires_in: lifetime of `output_links` in seconds, in all answers about the job.
    download: browsers save what the `output_links` of this answer open: "1", or a file name.
    idempotency_key: a repetition with the same key within a day returns the same job, also from
        another process; without it every call makes one job, even if it had to be retried.
    Raises OSError when a file cannot be read.
    """
    fields = to_form_fields(recipe)
    if not isinstance(photo, str | Upload):
        if upload is None and idempotency_key is not None:
            upload = False
        photo = await _upload_when_large(client, photo, upload=upload)
    if background_file is None and isinstance(photo, str | Upload):
        body: dict[str, object] = {**photos.photo_reference(photo), "recipe": fields}
        if webhook_url is not None:
            body["webhook_url"] = webhook_url
        request = Request(method="POST", path=path("jobs"), json=body)
    else:
        request = await _with_files(client, photo, background_file, fields, webhook_url)
    request = dataclasses.replace(request, params=_link_params(expires_in, download))
    return job_from(await exchange.post(client, with_wait(request, wait), idempotency_key))


async def derive(
    client: Connection,
    job_id: str,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    correction_id: str | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    expires_in: int | None = None,
    download: str | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Make another picture of a job's photo; stages with the same work do not run again.

    recipe: the fields that differ from the job's own recipe.
    background_file: a picture as background.
    correction_id: a correction of the job to apply.
    webhook_url, wait, expires_in, download, idempotency_key: as for `submit`.
    Raises OSError when a file cannot be read.
    """
    fields = to_form_fields(recipe)
    options = {"correction_id": correction_id, "webhook_url": webhook_url}
    extra = {name: text for name, text in options.items() if text is not None}
    where = path("jobs", job_id, "derive")
    if background_file is None:
        request = Request(method="POST", path=where, json={"recipe": fields, **extra})
    else:
        background = await photos.make_resendable(client, background_file)
        parts = {"background_file": await photos.read_photo(client, background)}
        form = dict(fields) | {name: [text] for name, text in extra.items()}
        request = Request(method="POST", path=where, fields=form, parts=parts)
    request = dataclasses.replace(request, params=_link_params(expires_in, download))
    return job_from(await exchange.post(client, with_wait(request, wait), idempotency_key))


async def job(
    client: Connection,
    job_id: str,
    *,
    expires_in: int | None = None,
    download: str | None = None,
) -> Job:
    """Return a job as it is now.

    expires_in: lifetime of its `output_links` in seconds; None: as it was submitted.
    download: browsers save what its `output_links` open: "1", or a file name to use.
    """
    params = _link_params(expires_in, download)
    request = Request(method="GET", path=path("jobs", job_id), params=params)
    return job_from(await exchange.ask_json(client, request))


def jobs(
    client: Connection,
    *,
    state: JobState | None = None,
    created_after: dt.datetime | None = None,
    metadata: Mapping[str, str] | None = None,
    limit: int | None = None,
    summary: bool = False,
    expires_in: int | None = None,
    download: str | None = None,
) -> AsyncGenerator[Job]:
    """Yield jobs, newest first.

    state, created_after, metadata: filters.  limit: maximum number; None: all.
    summary: leave out the largest parts, such as faces and stages, which are None or empty.
    expires_in, download: as for `job`.
    """
    params = _link_params(expires_in, download)
    params |= {f"metadata.{name}": value for name, value in (metadata or {}).items()}
    if state is not None:
        params["state"] = state
    if created_after is not None:
        params["created_after"] = created_after.isoformat()
    if summary:
        params["view"] = "summary"
    return iterate_list(client, path("jobs"), job_from, params=params, limit=limit)


async def cancel(client: Connection, job_id: str) -> Job:
    """Cancel a job; return it afterward.  Raises Conflict when it has ended."""
    request = Request(method="POST", path=path("jobs", job_id, "cancel"))
    return job_from(await exchange.post(client, request))


async def redrive(client: Connection, job_id: str) -> Job:
    """Continue a failed job after its succeeded stages; return it afterward."""
    request = Request(method="POST", path=path("jobs", job_id, "redrive"))
    return job_from(await exchange.post(client, request))


async def delete(client: Connection, job_id: str) -> None:
    """Delete a job, its photo and its results; an unfinished job is canceled first.

    Deleting twice is no error.
    """
    try:
        await exchange.ask(client, Request(method="DELETE", path=path("jobs", job_id)))
    except Gone:
        return


def _link_params(expires_in: int | None, download: str | None) -> dict[str, str | int]:
    """Return the parameters that set the signed links of an answer."""
    params: dict[str, str | int] = {}
    if expires_in is not None:
        params["expires_in"] = expires_in
    if download is not None:
        params["download"] = download
    return params


async def _upload_when_large(
    client: Connection, photo: Picture, *, upload: bool | None
) -> Path | bytes | Upload:
    """Return a photo's upload, or the photo itself to send in the request."""
    content = await photos.make_resendable(client, photo)
    if upload:
        return await photos.upload_photo(client, content)
    size, _ = await photos.measure_photo(client, content)
    if upload is None and size > photos.LARGE_BYTES:
        try:
            return await photos.upload_photo(client, content)
        except (Forbidden, NotFound, ServerUnreachable):
            # A device token, or a storage that only the server can reach.
            return content
    return content


async def _with_files(
    client: Connection,
    photo: Path | bytes | str | Upload,
    background_file: Picture | None,
    fields: Mapping[str, list[str]],
    webhook_url: str | None,
) -> Request:
    """Return a submission with its files."""
    form, parts = dict(fields), {}
    if isinstance(photo, str | Upload):
        form |= {name: [value] for name, value in photos.photo_reference(photo).items()}
    else:
        parts["photo"] = await photos.read_photo(client, photo)
    if background_file is not None:
        background = await photos.make_resendable(client, background_file)
        parts["background_file"] = await photos.read_photo(client, background)
        form.setdefault("background", ["file"])
    if webhook_url is not None:
        form["webhook_url"] = [webhook_url]
    return Request(method="POST", path=path("jobs"), fields=form, parts=parts)
