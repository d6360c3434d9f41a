"""From an accepted batch to its jobs: what is refused of it is told item by item."""

import contextlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio
from sqlalchemy import Connection

from smart_filter_api import photos, problems, submission
from smart_filter_api.batches.intake import UploadedBatch
from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.orders import Order
from smart_filter_api.photos import Photo
from smart_filter_shared.errors import (
    Contradiction,
    Error,
    FieldError,
    InvalidRecipe,
    InvalidRequest,
    NotAvailable,
    Rejected,
    UploadMissing,
)
from smart_filter_shared.ids import (
    OPERATOR,
    Capability,
    JobId,
    Tenant,
    new_batch_id,
    new_job_id,
)
from smart_filter_shared.jobs import batches, fairness, limits, transitions, uploads, webhooks
from smart_filter_shared.jobs.batches import BatchRow
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.submission import BatchSubmission, Gap, Membership, Submission
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.storage import keys

# How many photos of one batch are looked at or stored at the same time.
_AT_ONCE = 8


_NOTHING_TO_COMPOSE = "an album composes its best; ask for a picture, such as `image`"


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """A batch that is written and committed.

    jobs: those that its photos became.  ringing: what to ring for them now.
    """

    batch: BatchRow
    jobs: Sequence[JobId]
    ringing: list[Capability]


@dataclass(frozen=True, slots=True)
class _Item:
    """A photo that becomes a job; index: its place among all that were sent."""

    index: int
    photo: Photo
    order: Order


async def accept(
    services: Services,
    caller: Caller,
    sent: UploadedBatch,
    *,
    also: Callable[[Connection, BatchRow], None],
) -> AcceptedBatch:
    """Store the photos, then write the batch and all its jobs in one transaction, and commit.

    also: what else is written in it.  A batch that does not fit into the caller's limits is refused
    whole; so is one of which no item can become a job.
    Raises InvalidRequest, InvalidRecipe and its kinds, QueueFull, RateLimited, DatabaseUnavailable
    and StorageUnavailable, and what all items were refused for; then there is no row, and no
    object unless storage has just gone.
    """
    if sent.webhook_url is not None and services.seal is None:
        raise NotAvailable([FieldError("/webhook_url", submission.NO_KEY)])
    items, gaps = await _read(services, caller, sent)
    most = caller.limits.jobs_waiting
    if most and len(items) > most:
        # Waiting would not help, so this is no QueueFull.
        never = f"holds {len(items)} photos, and at most {most} jobs may wait; send fewer at once"
        raise InvalidRequest([FieldError("/items", never)])
    if caller.tenant != OPERATOR:
        await services.refuse_when_full(jobs=len(items))
    megapixels = sum(item.photo.megapixels for item in items)

    def admit(connection: Connection) -> None:
        _refuse_when_full(connection, caller, len(items), exactly=False)
        limits.spend(connection, caller.tenant, megapixels, caller.limits)

    if caller.limits.jobs_waiting or caller.limits.megapixels_per_day:
        async with services.transaction() as connection:
            await connection.run_sync(admit)
    async with services.stating() as connection:
        places = await connection.run_sync(_places, caller.tenant, items)
    batch = _submission(services, caller, sent, items=items, places=places, gaps=gaps)

    def write(connection: Connection) -> AcceptedBatch:
        # Before anything is written: near its bound a tenant's submissions wait here in turn.
        _refuse_when_full(connection, caller, len(items), exactly=True)
        _hold(connection, batch)
        ringing = transitions.submit_batch(connection, batch)
        if batch.webhook_url is not None and services.seal is not None:
            webhooks.ensure_default(connection, services.seal, caller.tenant)
        row = batches.find(connection, batch.batch_id, batch.tenant)
        if row is None:
            raise RuntimeError(f"batch {batch.batch_id} was written and cannot be read")
        also(connection, row)
        return AcceptedBatch(row, [job.job_id for job in batch.jobs], ringing)

    async with contextlib.AsyncExitStack() as undoing:
        undoing.push_async_callback(submission.give_back, services, caller, megapixels)
        undoing.push_async_callback(_remove_all, services, _photo_keys(batch.jobs))
        await _store_all(services, items, batch.jobs)
        async with services.transaction() as connection:
            accepted = await connection.run_sync(write)
            # From here on a commit that seems to fail may have happened: the pictures stay, and
            # retention removes them should no row name them.
            undoing.pop_all()
    services.room.forget(caller.tenant)
    return accepted


def _places(connection: Connection, tenant: Tenant, items: Sequence[_Item]) -> list[Place]:
    """Take a place for each item; those that are scheduled take theirs when they are due."""
    later = fairness.place_later(connection, cell=CELL)
    wanted = [
        [plan.capability for plan in item.order.plans.values()]
        for item in items
        if item.order.recipe.run_at is None
    ]
    taken = iter(fairness.reserve_all(connection, tenant, wanted, cell=CELL) if wanted else ())
    return [next(taken) if item.order.recipe.run_at is None else later for item in items]


async def _read(
    services: Services, caller: Caller, sent: UploadedBatch
) -> tuple[list[_Item], list[Gap]]:
    """Read every recipe; what is wrong with one is why its item is refused."""
    read, refused = await _read_each(services, caller, sent)
    if not read:
        raise _all_refused(refused)
    return read, [Gap(index, _told(error)) for index, error in refused.items()]


async def _read_each(
    services: Services, caller: Caller, sent: UploadedBatch
) -> tuple[list[_Item], dict[int, Error]]:
    read: list[_Item] = []
    refused: dict[int, Error] = {}
    left = iter(enumerate(sent.items))

    async def read_some() -> None:
        for index, item in left:
            try:
                if isinstance(item, Rejected):
                    raise item
                order = await submission.read(
                    services,
                    caller,
                    item.fields,
                    defaults=caller.recipe,
                    with_background_file=False,
                )
                if sent.best is not None and StageName.COMPOSITE not in order.plans:
                    raise Contradiction([FieldError("/outputs", _NOTHING_TO_COMPOSE)])
                photo = await photos.accepted(services, caller.tenant, item.photo)
            except (Rejected, UploadMissing) as error:
                refused[index] = error
            else:
                read.append(_Item(index, photo, order))

    await _several(read_some)
    read.sort(key=lambda item: item.index)
    return read, dict(sorted(refused.items()))


def _all_refused(refused: dict[int, Error]) -> Error:
    """Return why nothing of a batch can be done: the one reason, or each item's."""
    errors = list(refused.values())
    if len({(type(error), str(error)) for error in errors}) == 1:
        return errors[0]
    return InvalidRequest(
        [FieldError(f"/items/{index}", str(error)) for index, error in refused.items()]
    )


def _told(error: Error) -> dict[str, object]:
    """Return an error as a failed job has it, and the fields at fault."""
    told: dict[str, object] = {
        "code": error.code,
        "title": problems.KINDS[error.code].title,
        "detail": _storable(str(error)),
        "stage": None,
    }
    if isinstance(error, InvalidRecipe):
        told["errors"] = [
            {"detail": _storable(one.detail), "pointer": _storable(one.pointer)}
            for one in error.errors
        ]
    return told


def _storable(text: str) -> str:
    """Return a text that repeats what was sent, without NUL, which the database does not take."""
    return text.replace("\0", "\ufffd")


def _submission(
    services: Services,
    caller: Caller,
    sent: UploadedBatch,
    *,
    items: Sequence[_Item],
    places: Sequence[Place],
    gaps: Sequence[Gap],
) -> BatchSubmission:
    batch_id, tenant = new_batch_id(), caller.tenant
    jobs = []
    for item, place in zip(items, places, strict=True):
        job_id, seed = new_job_id(), item.order.recipe.seed
        jobs.append(
            Submission(
                job_id=job_id,
                tenant=tenant,
                recipe=item.order.recipe,
                seed=secrets.randbelow(recipe_fields.MAX_SEED + 1) if seed is None else seed,
                place=place,
                photo_key=None if item.photo.spooled is None else keys.photo(tenant, job_id),
                photo_digest=None if item.photo.spooled is None else item.photo.spooled.digest,
                background_key=None,
                keeping=caller.keeping.within(services.keeping),
                plans=item.order.plans,
                megapixels=item.photo.megapixels,
                photo_url=item.photo.url,
                upload=item.photo.upload,
                # What earlier jobs have done of these photos is done again; later ones find it.
                works=item.order.works,
                membership=Membership(batch_id, item.index, sent.best is not None),
            )
        )
    return BatchSubmission(batch_id, tenant, sent.best, sent.webhook_url, jobs, gaps)


def _hold(connection: Connection, batch: BatchSubmission) -> None:
    """Keep the uploads that are named until their jobs are written.  Raises InvalidRequest."""
    named = {job.upload.id for job in batch.jobs if job.upload is not None}
    # In one order: whoever else holds or marks some of them does not meet this one head-on.
    for upload_id in sorted(named):
        if not uploads.hold(connection, upload_id, batch.tenant):
            raise photos.unknown()


def _refuse_when_full(connection: Connection, caller: Caller, jobs: int, *, exactly: bool) -> None:
    limits.refuse_when_full(connection, caller.tenant, caller.limits, exactly=exactly, jobs=jobs)


async def _store_all(
    services: Services, items: Sequence[_Item], jobs: Sequence[Submission]
) -> None:
    """Store every photo, a few at a time.  Raises StorageUnavailable for the first that fails."""
    left = iter(zip(items, jobs, strict=True))

    async def store_some() -> None:
        for item, job in left:
            if item.photo.spooled is not None and job.photo_key is not None:
                await submission.store(services, job.photo_key, item.photo.spooled)

    await _several(store_some)


async def _several(work: Callable[[], Awaitable[None]]) -> None:
    """Let several at a time do what is left; raises what the first one raises that fails."""
    failures: list[Exception] = []

    async def until_one_fails() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised below, without the group around it
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(_AT_ONCE):
            group.start_soon(until_one_fails)
    if failures:
        raise failures[0]


def _photo_keys(jobs: Sequence[Submission]) -> list[str]:
    return [job.photo_key for job in jobs if job.photo_key is not None]


async def _remove_all(services: Services, photo_keys: Sequence[str]) -> None:
    for key in photo_keys:
        await submission.remove(services, key)
