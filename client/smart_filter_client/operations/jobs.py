"""Jobs: submit, read, list, cancel, redrive, derive, delete."""

import dataclasses
import datetime as dt
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from smart_filter_client.errors import Forbidden, Gone, InvalidRecipe, NotFound, ServerUnreachable
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models import Job
from smart_filter_client.operations import photos
from smart_filter_client.operations.corrections import Strokes, given_fields
from smart_filter_client.operations.pagination import iterate_list
from smart_filter_client.operations.photos import Photo, Picture, Upload
from smart_filter_client.operations.recipes import list_cleared, to_form_fields, with_wait
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_client.requests import Request, path
from smart_filter_wire.words import JobState


async def submit(
    client: Connection,
    photo: Photo,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    mask_file: Picture | None = None,
    strokes: Strokes | None = None,
    photo_name: str | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    upload: bool | None = None,
    expires_in: int | None = None,
    download: str | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Submit a photo with a recipe; return the job, which is queued.

    photo: a file, its bytes, an open binary file, an address (`https://…`), or an Upload.
    recipe: fields by name, such as {"background": "auto", "metadata": {"album": "beach"}}.
    background_file: a picture; it sets the background `file` unless the recipe names one.
    mask_file: a gray PNG of the photo's size, white where people are: the matte exactly.
    strokes: drawn over the photo as it is sent, and what they mark is people or not.
    photo_name: of the photo's file, shown in the job; None: the name of a Path.
    webhook_url: an address that is notified of the end, in addition to the webhooks.
    wait: return the job when it is final, or after this many seconds, 60 at most.
    upload: straight to the storage; None: if large. Not with an idempotency_key of your own.
    expires_in, download: as for `job`.  idempotency_key: repeated within a day, the same job.
    Raises OSError when a file cannot be read.
    """
    fields = to_form_fields(recipe)
    extra = photos.name_field(photo, photo_name)
    if webhook_url is not None:
        extra["webhook_url"] = webhook_url
    if not isinstance(photo, str | Upload):
        if upload is None and idempotency_key is not None:
            upload = False
        photo = await _upload_when_large(client, photo, upload=upload)
    files = {"background_file": background_file, "mask_file": mask_file}
    parts = {name: file for name, file in files.items() if file is not None}
    drawn = [given_fields(stroke) for stroke in strokes or ()]
    if not parts and isinstance(photo, str | Upload):
        more = {"strokes": drawn} if drawn else {}
        body = {**photos.photo_reference(photo), "recipe": fields, **extra, **more}
        request = Request(method="POST", path=path("jobs"), json=body)
    else:
        if drawn:
            extra["strokes"] = json.dumps(drawn)
        request = await _with_files(client, photo, parts, fields, extra)
    request = dataclasses.replace(request, params=_link_params(expires_in, download))
    return read_answer(Job, await exchange.post(client, with_wait(request, wait), idempotency_key))


async def derive(
    client: Connection,
    job_id: str,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    correction_id: str | None = None,
    faces: Mapping[int, int] | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    expires_in: int | None = None,
    download: str | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Make another picture of a job's photo; stages with the same work do not run again.

    recipe: the fields that differ from the job's own recipe; None: back to the default.
    correction_id: a correction of the job to apply.
    faces: of a take, the item of each person's face; not with a background_file.
    background_file, webhook_url, wait, expires_in, download, idempotency_key: as for `submit`.
    Raises InvalidRecipe, and OSError when a file cannot be read.
    """
    fields = to_form_fields(recipe)
    options = {"correction_id": correction_id, "webhook_url": webhook_url}
    extra = {name: text for name, text in options.items() if text is not None}
    cleared = list_cleared(recipe)
    where = path("jobs", job_id, "derive")
    if background_file is None:
        body: dict[str, object] = {"recipe": {**fields, **dict.fromkeys(cleared)}, **extra}
        if faces is not None:
            body["faces"] = {str(person): item for person, item in faces.items()}
        request = Request(method="POST", path=where, json=body)
    else:
        if cleared:
            raise InvalidRecipe(f"{', '.join(cleared)}: a form cannot clear fields; give values")
        background = await photos.make_resendable(client, background_file)
        parts = {"background_file": await photos.read_photo(client, background)}
        form = dict(fields) | {name: [text] for name, text in extra.items()}
        request = Request(method="POST", path=where, fields=form, parts=parts)
    request = dataclasses.replace(request, params=_link_params(expires_in, download))
    return read_answer(Job, await exchange.post(client, with_wait(request, wait), idempotency_key))


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
    return await exchange.get(client, Job, "jobs", job_id, params=params)


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
    return iterate_list(client, path("jobs"), Job, params=params, limit=limit)


async def cancel(client: Connection, job_id: str) -> Job:
    """Cancel a job; return it afterward.  Raises Conflict when it has ended."""
    return await exchange.send(client, Job, "POST", "jobs", job_id, "cancel")


async def redrive(client: Connection, job_id: str) -> Job:
    """Continue a failed job after its succeeded stages; return it afterward."""
    return await exchange.send(client, Job, "POST", "jobs", job_id, "redrive")


async def delete(client: Connection, job_id: str) -> None:
    """Delete a job, canceled first, its photo and its results; a deleted job is no error."""
    try:
        await exchange.delete(client, "jobs", job_id)
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
    files: Mapping[str, Picture],
    fields: Mapping[str, list[str]],
    extra: Mapping[str, str],
) -> Request:
    """Return a submission with files by name.  extra: fields that are not part of the recipe."""
    form = {**fields, **{name: [text] for name, text in extra.items()}}
    parts = {}
    if isinstance(photo, str | Upload):
        form |= {name: [value] for name, value in photos.photo_reference(photo).items()}
    else:
        parts["photo"] = await photos.read_photo(client, photo)
    for name, file in files.items():
        parts[name] = await photos.read_photo(client, await photos.make_resendable(client, file))
    if "background_file" in files:
        form.setdefault("background", ["file"])
    return Request(method="POST", path=path("jobs"), fields=form, parts=parts)
