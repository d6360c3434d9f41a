"""Jobs: submit, look at, list, cancel, redrive, derive, delete."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from smart_filter_client import exchange
from smart_filter_client.errors import Forbidden, Gone, NotFound, ServerUnreachable
from smart_filter_client.flows import Feed, Flow, Server
from smart_filter_client.models import Job, job_from
from smart_filter_client.operations import photos
from smart_filter_client.operations.listing import listed
from smart_filter_client.operations.photos import Photo, Picture, Upload
from smart_filter_client.operations.recipes import Recipe, waiting, written
from smart_filter_client.requests import Request, path


def submit(
    server: Server,
    photo: Photo,
    recipe: Recipe | None = None,
    *,
    background_file: Picture | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    upload: bool | None = None,
    idempotency_key: str | None = None,
) -> Flow[Job]:
    """Send a photo and what is asked for; return the job, which is queued.

    photo: a file, its bytes, something open to be read from, an address (`https://…`) from
        which the server fetches it, or an Upload.
    recipe: fields by name, such as {"background": "auto", "outputs": ["image", "matte"],
        "metadata.album": "beach"}; {"metadata": {"album": "beach"}} is the same.
    background_file: a picture to stand behind the people; it asks for the background `file`
        unless the recipe names one.
    webhook_url: who is told when the job has ended, beside the webhooks.
    wait: return the job when it is final, or after so many seconds, 60 at most.
    upload: whether the photo goes past the API straight to the storage; None: when it is large,
        and the server and its storage can be reached for that. Not under an idempotency_key of
        your own: each upload is another, so that the same request would not be the same.
    idempotency_key: whoever submits with the same one within a day gets the same job, from
        another process too; else every call makes a job, however often it had to be sent.
    Raises OSError when a file cannot be read.
    """
    fields = written(recipe)
    if not isinstance(photo, str | Upload):
        if upload is None and idempotency_key is not None:
            upload = False
        photo = yield from _placed(server, photo, upload=upload)
    if background_file is None and isinstance(photo, str | Upload):
        body: dict[str, object] = {**photos.named(photo), "recipe": fields}
        if webhook_url is not None:
            body["webhook_url"] = webhook_url
        request = Request(method="POST", path=path("jobs"), json=body)
    else:
        request = yield from _form(photo, background_file, fields, webhook_url)
    return job_from((yield from exchange.post(server, waiting(request, wait), idempotency_key)))


def derive(
    server: Server,
    job_id: str,
    recipe: Recipe | None = None,
    *,
    background_file: Picture | None = None,
    correction_id: str | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    idempotency_key: str | None = None,
) -> Flow[Job]:
    """Make another picture of a job's photo; what stays the same is not done again.

    recipe: what is to be other than in the job's own recipe.
    background_file: a picture to stand behind the people.
    correction_id: a correction of the job that is to be applied.
    webhook_url, wait, idempotency_key: as for `submit`.
    Raises OSError when a file cannot be read.
    """
    fields = written(recipe)
    own = {"correction_id": correction_id, "webhook_url": webhook_url}
    told = {name: text for name, text in own.items() if text is not None}
    where = path("jobs", job_id, "derive")
    if background_file is None:
        request = Request(method="POST", path=where, json={"recipe": fields, **told})
    else:
        background = yield from photos.held(background_file)
        parts = {"background_file": (yield from photos.contents(background))}
        form = dict(fields) | {name: [text] for name, text in told.items()}
        request = Request(method="POST", path=where, fields=form, parts=parts)
    return job_from((yield from exchange.post(server, waiting(request, wait), idempotency_key)))


def job(server: Server, job_id: str) -> Flow[Job]:
    """Return a job as it is now."""
    request = Request(method="GET", path=path("jobs", job_id))
    return job_from((yield from exchange.ask_json(server, request)))


def jobs(
    server: Server,
    *,
    state: str | None = None,
    created_after: dt.datetime | None = None,
    metadata: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Feed[Job]:
    """Yield jobs, newest first.

    state, created_after, metadata: only those.  limit: at most so many; None: all there are.
    """
    params = {f"metadata.{name}": value for name, value in (metadata or {}).items()}
    if state is not None:
        params["state"] = state
    if created_after is not None:
        params["created_after"] = created_after.isoformat()
    yield from listed(server, path("jobs"), job_from, params=params, limit=limit)


def cancel(server: Server, job_id: str) -> Flow[Job]:
    """Withdraw a job; return it as it is then.  Raises Conflict when it has ended."""
    request = Request(method="POST", path=path("jobs", job_id, "cancel"))
    return job_from((yield from exchange.post(server, request)))


def redrive(server: Server, job_id: str) -> Flow[Job]:
    """Let a failed job go on from what has succeeded; return it as it is then."""
    request = Request(method="POST", path=path("jobs", job_id, "redrive"))
    return job_from((yield from exchange.post(server, request)))


def delete(server: Server, job_id: str) -> Flow[None]:
    """Delete a job, its photo and all that it has made; an unfinished one is canceled first.

    One that is deleted already is no error.
    """
    try:
        yield from exchange.ask(server, Request(method="DELETE", path=path("jobs", job_id)))
    except Gone:
        return


def _placed(server: Server, photo: Picture, *, upload: bool | None) -> Flow[Path | bytes | Upload]:
    """Return a photo's upload, or the photo when it is better sent along."""
    content = yield from photos.held(photo)
    if upload:
        return (yield from photos.uploaded(server, content))
    size, _ = yield from photos.measured(content)
    if upload is None and size > photos.LARGE_BYTES:
        try:
            return (yield from photos.uploaded(server, content))
        except (Forbidden, NotFound, ServerUnreachable):
            # A device's token, an older server, or one whose storage only it can reach.
            return content
    return content


def _form(
    photo: Path | bytes | str | Upload,
    background_file: Picture | None,
    fields: Mapping[str, list[str]],
    webhook_url: str | None,
) -> Flow[Request]:
    """Return a submission with whatever is sent along."""
    form, parts = dict(fields), {}
    if isinstance(photo, str | Upload):
        form |= {name: [value] for name, value in photos.named(photo).items()}
    else:
        parts["photo"] = yield from photos.contents(photo)
    if background_file is not None:
        background = yield from photos.held(background_file)
        parts["background_file"] = yield from photos.contents(background)
        form.setdefault("background", ["file"])
    if webhook_url is not None:
        form["webhook_url"] = [webhook_url]
    return Request(method="POST", path=path("jobs"), fields=form, parts=parts)
