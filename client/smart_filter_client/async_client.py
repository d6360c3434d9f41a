"""The asynchronous client."""

import datetime as dt
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, Self

import anyio
import httpx

from smart_filter_client import operations
from smart_filter_client.http import http_requests
from smart_filter_client.http.asynchronous import AsyncBackend
from smart_filter_client.models import (
    Batch,
    Event,
    GrantedScope,
    Job,
    Model,
    NewKey,
    Output,
    Stroke,
    TenantChange,
    WebhookEvent,
)
from smart_filter_client.operations.batches import Item
from smart_filter_client.operations.photos import Photo, Picture, Upload
from smart_filter_client.operations.pictures import Tags
from smart_filter_client.operations.polling import OnProgress
from smart_filter_client.recipe import NO_FIELDS, Place, Recipe
from smart_filter_wire.catalog import Background, Filter, Keyword, SavedRecipe
from smart_filter_wire.corrections import Correction, FaceChanges, FaceLabel
from smart_filter_wire.pictures import LiveConnection, TenantPicture
from smart_filter_wire.tenants import ApiKey, AuditRecord, DayUsage, TenantSettings
from smart_filter_wire.webhooks import (
    Delivery,
    EndedEventPage,
    NewWebhook,
    Webhook,
    WebhookSecret,
)
from smart_filter_wire.words import DeliveryState, JobState, OutputName


class AsyncClient:
    """A connection to one server; shared by tasks, closed by `async with` or `aclose`.

    It has the methods of Client, with the same parameters and errors. Methods that return there are
    awaited here, and generators are used with `async for`.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        attempts: int = 4,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        address = http_requests.parse_address(url, api_key)
        self.url: Final = url.rstrip("/")
        self.attempts: Final = attempts
        self.clock: Final = clock
        self._http = httpx.AsyncClient(
            base_url=address, transport=transport, trust_env=http_requests.uses_proxies(address)
        )
        self.backend: Final = AsyncBackend(self._http, api_key, timeout, sleep)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # client/generate_client.py writes the methods below: change the operations instead.

    async def run(
        self,
        photo: Photo,
        recipe: Recipe = NO_FIELDS,
        *,
        background_file: Picture | None = None,
        timeout: float | None = None,
        expires_in: int | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a photo, wait for its job and fetch its outputs; return the job.

        job.save("out.jpg") writes its image, job.save("out.png", "cutout") another output.
        photo, recipe, background_file, expires_in, idempotency_key: as for `submit`.
        timeout: seconds for the job after its submission, None: no limit.
        A failed job is returned too, see `job.succeeded`; its `save` raises NoOutput.
        Raises NotFinishedInTime, and OSError when a file cannot be read.
        """
        return await operations.run.run(
            self,
            photo,
            recipe,
            background_file=background_file,
            timeout=timeout,
            expires_in=expires_in,
            idempotency_key=idempotency_key,
        )

    async def submit(
        self,
        photo: Photo,
        recipe: Recipe = NO_FIELDS,
        *,
        background_file: Picture | None = None,
        mask_file: Picture | None = None,
        strokes: Sequence[Stroke] | None = None,
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
        return await operations.jobs.submit(
            self,
            photo,
            recipe,
            background_file=background_file,
            mask_file=mask_file,
            strokes=strokes,
            photo_name=photo_name,
            webhook_url=webhook_url,
            wait=wait,
            upload=upload,
            expires_in=expires_in,
            download=download,
            idempotency_key=idempotency_key,
        )

    async def derive(
        self,
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

        recipe: the fields that differ from the job's own recipe.
        correction_id: a correction of the job to apply.
        faces: of a take, the item of each person's face; not with a background_file.
        background_file, webhook_url, wait, expires_in, download, idempotency_key: as for `submit`.
        Raises OSError when a file cannot be read.
        """
        return await operations.jobs.derive(
            self,
            job_id,
            recipe,
            background_file=background_file,
            correction_id=correction_id,
            faces=faces,
            webhook_url=webhook_url,
            wait=wait,
            expires_in=expires_in,
            download=download,
            idempotency_key=idempotency_key,
        )

    async def job(
        self, job_id: str, *, expires_in: int | None = None, download: str | None = None
    ) -> Job:
        """Return a job as it is now.

        expires_in: lifetime of its `output_links` in seconds; None: as it was submitted.
        download: browsers save what its `output_links` open: "1", or a file name to use.
        """
        return await operations.jobs.job(self, job_id, expires_in=expires_in, download=download)

    def jobs(
        self,
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
        return operations.jobs.jobs(
            self,
            state=state,
            created_after=created_after,
            metadata=metadata,
            limit=limit,
            summary=summary,
            expires_in=expires_in,
            download=download,
        )

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; return it afterward.  Raises Conflict when it has ended."""
        return await operations.jobs.cancel(self, job_id)

    async def redrive(self, job_id: str) -> Job:
        """Continue a failed job after its succeeded stages; return it afterward."""
        return await operations.jobs.redrive(self, job_id)

    async def delete(self, job_id: str) -> None:
        """Delete a job, canceled first, its photo and its results; a deleted job is no error."""
        return await operations.jobs.delete(self, job_id)

    async def upload(self, photo: Picture) -> Upload:
        """Upload a photo straight to the server's storage; jobs can then name it.

        photo: a file, read while it is sent; bytes, or an open binary file.
        Raises OSError when a file cannot be read.
        """
        return await operations.photos.upload(self, photo)

    async def wait(
        self, job_id: str, timeout: float | None = None, on_progress: OnProgress[Job] | None = None
    ) -> Job:
        """Return a job when it is final.

        timeout: seconds for the whole call, also if the server is slow; None: no limit.
        on_progress: called with the job after each poll.
        Tolerates a server that is unreachable for some seconds.  Raises NotFinishedInTime.
        """
        return await operations.polling.wait(self, job_id, timeout, on_progress)

    def finished(
        self,
        job_ids: Sequence[str],
        timeout: float | None = None,
        on_progress: OnProgress[Job] | None = None,
    ) -> AsyncGenerator[Job]:
        """Yield each of the jobs when it is final, in the order of their ends.

        Tolerates a server that is unreachable for some seconds.
        Raises NotFinishedInTime for those that are unfinished after `timeout` seconds.
        """
        return operations.polling.finished(self, job_ids, timeout, on_progress)

    async def wait_batch(
        self,
        batch_id: str,
        timeout: float | None = None,
        on_progress: OnProgress[Batch] | None = None,
    ) -> Batch:
        """Return a batch when all of its photos have ended.

        timeout: seconds for the whole call, also if the server is slow; None: no limit.
        on_progress: called with the batch after each poll.
        Raises NotFinishedInTime.
        """
        return await operations.polling.wait_batch(self, batch_id, timeout, on_progress)

    def stream(self, job_id: str, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield the events of a job, from its beginning to its end.

        A broken connection is reopened after the last event: no event is missed or repeated.
        after: the id of the event after which to begin.
        """
        return operations.events.stream(self, job_id, after)

    def stream_batch(self, batch_id: str, after: str | None = None) -> AsyncGenerator[Event]:
        """Yield the events of a batch as a whole, like `stream` for a job."""
        return operations.events.stream_batch(self, batch_id, after)

    async def correct_matte(
        self,
        job_id: str,
        *,
        mask: Picture | None = None,
        strokes: Sequence[Stroke] | None = None,
        consent: bool = False,
    ) -> Correction:
        """Correct a matte, by a mask (a gray PNG of its size, white is people) or by strokes.

        consent: whether it can be kept as a training example.  Raises OSError: unreadable file.
        """
        return await operations.corrections.correct_matte(
            self, job_id, mask=mask, strokes=strokes, consent=consent
        )

    async def correct_faces(
        self, job_id: str, faces: Sequence[FaceLabel] | FaceChanges, *, consent: bool = False
    ) -> Correction:
        """Correct smiles and open eyes, or which faces count.

        consent: as for `correct_matte`, for labels only.
        """
        return await operations.corrections.correct_faces(self, job_id, faces, consent=consent)

    async def corrections(self, job_id: str) -> list[Correction]:
        """Return the corrections of a job, the oldest first."""
        return await operations.corrections.corrections(self, job_id)

    async def submit_batch(
        self,
        items: Sequence[Photo | Item],
        recipe: Recipe = NO_FIELDS,
        *,
        best: int | Literal["take"] | None = None,
        webhook_url: str | None = None,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Submit photos together; return their batch, whose jobs are queued.

        items: at most 1,000 photos as for `submit`. Files and bytes that are many or large are
            uploaded one after the other; to upload concurrently, pass the Uploads of `upload`.
        best: makes the batch an album: the photos are ranked, and only the first `best` composed.
            "take": one picture of 2 to 12 photos, with each person's best face (`Batch.take`).
        idempotency_key: as for `submit`; for large photos pass Uploads.
        An error of one photo is in its item, and the others run.
        Raises OSError when a file cannot be read.
        """
        return await operations.batches.submit_batch(
            self,
            items,
            recipe,
            best=best,
            webhook_url=webhook_url,
            wait=wait,
            idempotency_key=idempotency_key,
        )

    async def batch(self, batch_id: str) -> Batch:
        """Return a batch as it is now."""
        return await operations.batches.batch(self, batch_id)

    def batches(self, *, limit: int | None = None) -> AsyncGenerator[Batch]:
        """Yield batches without their items, newest first; at most `limit`."""
        return operations.batches.batches(self, limit=limit)

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Cancel all unfinished jobs of a batch; return the batch afterward."""
        return await operations.batches.cancel_batch(self, batch_id)

    async def delete_batch(self, batch_id: str) -> None:
        """Delete a batch, its jobs and their results; a deleted batch is no error."""
        return await operations.batches.delete_batch(self, batch_id)

    async def output(self, job_id: str, name: OutputName) -> Output:
        """Return an output of a job, such as `image`, in memory."""
        return await operations.outputs.output(self, job_id, name)

    async def photo(self, job_id: str, *, original: bool = False) -> Output:
        """Return the photo of a job, upright and small enough for a screen, as JPEG.

        original: the submitted bytes, with all their metadata; to turn them upright, apply the EXIF
        orientation and then the job's `photo.quarter_turns`.
        """
        return await operations.outputs.photo(self, job_id, original=original)

    async def download(
        self, job_id: str, name: OutputName, to: Place, *, filename: str = ""
    ) -> Path:
        """Write an output of a job, such as `image`, to a file; return its path.

        The file appears complete or not at all; the output is never in memory as a whole.
        to: the file, or a function of its media type, such as `image/jpeg`, and its name or "".
        filename: of the name, as in a recipe.  Raises OSError when the file cannot be written.
        """
        return await operations.outputs.download(self, job_id, name, to, filename=filename)

    async def create_webhook(
        self, url: str, events: Sequence[WebhookEvent] | None = None
    ) -> NewWebhook:
        """Create a webhook for these ends of jobs, None: all; its secret is shown only once."""
        return await operations.webhooks.create_webhook(self, url, events)

    async def webhooks(self) -> list[Webhook]:
        """Return all webhooks, the oldest first."""
        return await operations.webhooks.webhooks(self)

    async def webhook(self, webhook_id: str) -> Webhook:
        """Return a webhook as it is now."""
        return await operations.webhooks.webhook(self, webhook_id)

    async def change_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change the given fields of a webhook; enabled: whether deliveries are sent."""
        return await operations.webhooks.change_webhook(
            self, webhook_id, url=url, events=events, enabled=enabled
        )

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, its secret and its deliveries."""
        return await operations.webhooks.delete_webhook(self, webhook_id)

    async def rotate_webhook(self, webhook_id: str) -> WebhookSecret:
        """Generate a new secret, shown only once; the former one also signs for a day."""
        return await operations.webhooks.rotate_webhook(self, webhook_id)

    async def test_webhook(self, webhook_id: str) -> Delivery:
        """Send a `webhook.test`, once; return the delivery."""
        return await operations.webhooks.test_webhook(self, webhook_id)

    def deliveries(
        self, webhook_id: str, *, state: DeliveryState | None = None, limit: int | None = None
    ) -> AsyncGenerator[Delivery]:
        """Yield the deliveries of the last days to a webhook, newest first.

        state: only those in this state.
        """
        return operations.webhooks.deliveries(self, webhook_id, state=state, limit=limit)

    async def ends(self, cursor: str | None = None) -> EndedEventPage:
        """Return the ends of jobs and batches since a cursor, where no webhook can be received.

        cursor: of the page before; None: no ends, but a cursor to begin with. Poll every second or
        few; an end can be returned again, with the same id.
        """
        return await operations.webhooks.ends(self, cursor)

    async def replay(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send a delivery again; return it."""
        return await operations.webhooks.replay(self, webhook_id, delivery_id)

    async def replay_failed(self, webhook_id: str) -> int:
        """Send all failed deliveries again; return their number."""
        return await operations.webhooks.replay_failed(self, webhook_id)

    async def issue_key(
        self,
        scopes: Sequence[GrantedScope],
        *,
        expires_in_seconds: int | None = None,
        tenant: str | None = None,
        idempotency_key: str | None = None,
    ) -> NewKey:
        """Issue a key; it is shown only once.

        tenant: its tenant; only the operator can name another.
        idempotency_key: a repetition with the same key within a day returns the same result.
        Raises KeyLost.
        """
        return await operations.tenants.issue_key(
            self,
            scopes,
            expires_in_seconds=expires_in_seconds,
            tenant=tenant,
            idempotency_key=idempotency_key,
        )

    def keys(self, *, tenant: str | None = None) -> AsyncGenerator[ApiKey]:
        """Yield keys, including expired and revoked ones."""
        return operations.tenants.keys(self, tenant=tenant)

    async def revoke_key(self, key_id: str, *, with_issued: bool = False) -> None:
        """Revoke a key, and the tokens that it issued, from now on.

        with_issued: also the keys that it issued, the keys that those issued, and so on.
        """
        return await operations.tenants.revoke_key(self, key_id, with_issued=with_issued)

    def audit_events(
        self, *, tenant: str | None = None, limit: int | None = None
    ) -> AsyncGenerator[AuditRecord]:
        """Yield the security log, newest first.

        tenant: whose; only the operator can name another.  limit: maximum number; None: all.
        """
        return operations.tenants.audit_events(self, tenant=tenant, limit=limit)

    async def issue_token(
        self, *, ttl_seconds: int = 600, max_jobs: int = 1, idempotency_key: str | None = None
    ) -> NewKey:
        """Issue a short-lived key for an end user's device, which can submit `max_jobs` jobs.

        idempotency_key: as for `issue_key`.  Raises KeyLost.
        """
        return await operations.tenants.issue_token(
            self, ttl_seconds=ttl_seconds, max_jobs=max_jobs, idempotency_key=idempotency_key
        )

    async def usage(
        self, first: dt.date | None = None, last: dt.date | None = None
    ) -> list[DayUsage]:
        """Return the usage of each day, in UTC, on which jobs ended.

        first, last: both included; None: 30 days ago, and today.
        """
        return await operations.tenants.usage(self, first, last)

    async def tenant(self, name: str) -> TenantSettings:
        """Return the settings of a tenant; only the operator can name another than its own."""
        return await operations.tenants.tenant(self, name)

    async def change_tenant(self, name: str, changes: TenantChange) -> TenantSettings:
        """Change the given settings of a tenant, limits only as the operator; return all."""
        return await operations.tenants.change_tenant(self, name, changes)

    async def models(self, *, every: bool = False) -> list[Model]:
        """Return the offered models, or with `every` all known ones."""
        return await operations.catalog.models(self, every=every)

    async def backgrounds(self) -> list[Background]:
        """Return the backgrounds that `preset:NAME` can name."""
        return await operations.catalog.backgrounds(self)

    async def background_keywords(self) -> list[Keyword]:
        """Return the words that `keywords:WORD` understands."""
        return await operations.catalog.background_keywords(self)

    async def thumbnail(self, name: str) -> Output:
        """Return the thumbnail of a background such as `sunrise` or `site/lobby`."""
        return await operations.catalog.thumbnail(self, name)

    async def filters(self) -> list[Filter]:
        """Return the filters that `filters` of a recipe can name."""
        return await operations.catalog.filters(self)

    async def recipes(self) -> list[SavedRecipe]:
        """Return the recipes that `recipe` can name: your tenant's, then built-in ones."""
        return await operations.catalog.recipes(self)

    async def save_recipe(self, name: str, recipe: Recipe) -> SavedRecipe:
        """Save a recipe of your tenant under a name; one of that name is replaced."""
        return await operations.catalog.save_recipe(self, name, recipe)

    async def delete_recipe(self, name: str) -> None:
        """Delete a saved recipe of your tenant; jobs that used it are unchanged."""
        return await operations.catalog.delete_recipe(self, name)

    async def add_picture(
        self, name: str, picture: Picture, *, logo: bool = False, title: str = "", tags: Tags = ()
    ) -> TenantPicture:
        """Add or replace your own picture; return it once it is read, a refused one too.

        name: such as `lobby`, or a file's; its words are the default of title and tags.
        Raises NotFinishedInTime after a minute, and OSError.
        """
        return await operations.pictures.add_picture(
            self, name, picture, logo=logo, title=title, tags=tags
        )

    async def own_pictures(self) -> list[TenantPicture]:
        """Return the backgrounds and logos of your tenant, by name."""
        return await operations.pictures.own_pictures(self)

    async def delete_picture(self, name: str) -> None:
        """Delete your own picture, such as `lobby`; unfinished jobs that name it fail."""
        return await operations.pictures.delete_picture(self, name)

    async def open_live(self, background: str | None = None) -> LiveConnection:
        """Return a live video's address and a token for a minute; background: the initial one."""
        return await operations.live.open_live(self, background)
