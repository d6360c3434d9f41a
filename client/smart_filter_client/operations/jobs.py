"""Jobs: submit, read, list, cancel, redrive, derive, delete, correct; recipes as form fields."""

import base64
import dataclasses
import datetime as dt
import json
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from smart_filter_client.errors import Forbidden, Gone, InvalidRecipe, NotFound, ServerUnreachable
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import fetch_list, iterate_list
from smart_filter_client.models import Job, Stroke
from smart_filter_client.operations import photos
from smart_filter_client.operations.photos import Photo, Picture, Upload
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_wire.corrections import Correction, FaceChanges, FaceLabel
from smart_filter_wire.formats import JsonObject
from smart_filter_wire.words import JobState

# Fields of a submission's form that do not belong to its recipe.
_FORM_FIELDS: Final = {
    *("photo", "photo_url", "photo_base64", "upload_id"),
    *("background_file", "webhook_url", "correction_id"),
}

# Drawn lines, or the fields of lines as JSON.
Strokes: TypeAlias = Sequence[Stroke | Mapping[str, object]]


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


def to_form_fields(recipe: Mapping[str, object] | None) -> dict[str, list[str]]:
    """Return a recipe's fields by dotted names, with their values as form texts.

    Its names can be nested, {"metadata": {"album": …}}, or have dots, {"metadata.album": …}.
    Fields that are None are left out.
    Raises InvalidRecipe for a field of a form that is not one of a recipe: a recipe of unknown
    origin must not name a webhook.
    """
    fields = _flatten(recipe or {})
    for name in _FORM_FIELDS & fields.keys():
        raise InvalidRecipe(f"{name} is not a field of a recipe")
    return {name: _to_texts(value) for name, value in fields.items() if value is not None}


def list_cleared(recipe: Mapping[str, object]) -> list[str]:
    """Return the dotted names of a recipe's fields that are None."""
    return [name for name, value in _flatten(recipe).items() if value is None]


def with_wait(request: Request, seconds: float | None) -> Request:
    """Return a submission that waits for the job's end, or at most `seconds`."""
    if seconds is None:
        return request
    whole = max(0, math.ceil(seconds))
    headers = {**request.headers, "Prefer": f"wait={whole}"}
    return dataclasses.replace(request, headers=headers, patience=whole)


def _flatten(recipe: Mapping[str, object]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            fields |= {f"{name}.{inner}": given for inner, given in _flatten(value).items()}
        else:
            fields[name] = value
    return fields


def _to_texts(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int | float):
        return [str(value)]
    if isinstance(value, Sequence):
        return [str(item) for item in value]
    raise TypeError(f"{value!r} is not a value of a recipe")


async def correct_matte(
    client: Connection,
    job_id: str,
    *,
    mask: Picture | None = None,
    strokes: Strokes | None = None,
    consent: bool = False,
    replaces: str | None = None,
) -> Correction:
    """Correct a matte, by a mask (a gray PNG of its size, white is people) or by strokes.

    consent: whether it can be kept as a training example.
    replaces: an applied correction of the job that this one takes the place of.
    Raises OSError: unreadable file.
    """
    if mask is None:
        drawn = [given_fields(stroke) for stroke in strokes or ()]
        content_field: dict[str, object] = {"strokes": drawn}
    else:
        content = await photos.read_photo(client, await photos.make_resendable(client, mask))
        content_field = {"mask": base64.b64encode(content).decode()}
    body = {"kind": "matte", "stage": "segmentation", **content_field, "consent": consent}
    if replaces is not None:
        body["replaces"] = replaces
    return await _post_correction(client, job_id, body)


async def correct_faces(
    client: Connection,
    job_id: str,
    faces: Sequence[FaceLabel] | FaceChanges,
    *,
    consent: bool = False,
) -> Correction:
    """Correct smiles and open eyes, or which faces count.

    consent: as for `correct_matte`, for labels only.
    """
    if isinstance(faces, FaceChanges):
        body: dict[str, object] = {"kind": "faces", "stage": "face", "faces": given_fields(faces)}
    else:
        label = {"faces": [given_fields(face) for face in faces]}
        body = {"kind": "label", "stage": "smile", "label": label}
    return await _post_correction(client, job_id, {**body, "consent": consent})


async def corrections(client: Connection, job_id: str) -> list[Correction]:
    """Return the corrections of a job, the oldest first."""
    return await fetch_list(client, path("jobs", job_id, "corrections"), Correction)


async def _post_correction(client: Connection, job_id: str, body: dict[str, object]) -> Correction:
    return await exchange.send(client, Correction, "POST", "jobs", job_id, "corrections", json=body)


def given_fields(item: Stroke | FaceLabel | FaceChanges | Mapping[str, object]) -> JsonObject:
    """Return what a correction says as JSON, without fields that are None."""
    fields = item if isinstance(item, Mapping) else dataclasses.asdict(item)
    return {name: value for name, value in fields.items() if value is not None}
