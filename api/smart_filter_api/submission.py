"""From an accepted upload to a job: choose its models, store its pictures, write its rows."""

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

import anyio
from sqlalchemy import Connection

from smart_filter_api import deadlines, photos, recipe_defaults
from smart_filter_api import keys as api_keys
from smart_filter_api.deadlines import Choice
from smart_filter_api.deps import Services
from smart_filter_api.intake import Spooled, Upload
from smart_filter_api.keys import Caller
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    NotAvailable,
    StorageUnavailable,
    TryAgain,
)
from smart_filter_shared.ids import OPERATOR, Capability, new_job_id
from smart_filter_shared.jobs import (
    fairness,
    limits,
    models,
    queries,
    transitions,
    uploads,
    webhooks,
)
from smart_filter_shared.jobs.fairness import Place
from smart_filter_shared.jobs.forecast import Outstanding
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import Submission
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import PART_BYTES

# What is told who wants a webhook where the operator has set no key.
NO_KEY = "webhooks need the setting SMART_FILTER_SECRETS_KEY here"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is written and committed; ringing: what to ring for it now."""

    job: JobRow
    ringing: list[Capability]


async def accept(
    services: Services,
    caller: Caller,
    upload: Upload,
    *,
    also: Callable[[Connection, JobRow], None],
) -> Accepted:
    """Store the pictures, then write the job and commit: a row never points at nothing.

    also: what else is written in the transaction that writes the job.
    Raises InvalidRecipe, Contradiction, NotAvailable, InvalidRequest, UploadMissing,
    PhotoTooLarge, UnsupportedMedia, QueueFull, ServiceFull, RateLimited, Overdue, OutOfScope,
    DatabaseUnavailable and StorageUnavailable; then there is no row, and no object unless
    storage has just gone.
    """
    seal = services.seal
    if upload.webhook_url is not None and seal is None:
        raise NotAvailable([FieldError("/webhook_url", NO_KEY)])
    if caller.tenant != OPERATOR:
        await services.refuse_when_full()
    await services.forecasts.refresh()
    submission, outstanding = await _planned(services, caller, upload)

    def write(connection: Connection) -> Accepted:
        accepted = _write(connection, caller, submission, also)
        if upload.webhook_url is not None and seal is not None:
            webhooks.ensure_default(connection, seal, caller.tenant)
        return accepted

    async with contextlib.AsyncExitStack() as undoing:
        undoing.push_async_callback(_give_back, services, caller, submission)
        pictures = {
            submission.photo_key: upload.photo if isinstance(upload.photo, Spooled) else None,
            submission.background_key: upload.background,
        }
        for key, picture in pictures.items():
            if key is not None and picture is not None:
                undoing.push_async_callback(_remove, services, key)
                await _store(services, key, picture)
        async with services.transaction() as connection:
            services.forecasts.accept(outstanding)
            accepted = await connection.run_sync(write)
            # From here on a commit that seems to fail may have happened: the pictures stay, and
            # retention removes them should no row name them.
            undoing.pop_all()
    return accepted


async def _planned(
    services: Services, caller: Caller, upload: Upload
) -> tuple[Submission, Outstanding]:
    tenant = caller.tenant
    try:
        asked, usual, known = await _read(services, caller, upload)
    except InvalidRecipe:
        # The model or the picture that is asked for may have come a moment ago.
        services.models.forget()
        services.stock.forget(tenant)
        asked, usual, known = await _read(services, caller, upload)
    forecasts = services.forecasts
    starts_in_seconds = forecasts.seconds_until(asked.run_at)
    deadlines.refuse_contradiction(asked, starts_in_seconds=starts_in_seconds)
    if asked.deadline_ms is not None:
        await forecasts.refresh_to_judge()
    photo = await photos.accepted(services, tenant, upload.photo)
    wanted = [plan.capability for plan in usual.values()]

    def planned(place: Place, recipe: Recipe, plans: Mapping[StageName, Plan]) -> Outstanding:
        rank = fairness.rank(place, recipe.priority)
        return forecasts.planned(tenant, recipe, plans, rank=rank, megapixels=photo.megapixels)

    def reserve(connection: Connection) -> tuple[Place, Choice]:
        place = fairness.reserve(connection, tenant, wanted, cell=CELL)
        return place, deadlines.choose(
            asked,
            usual,
            known=known,
            outlook=forecasts.outlook,
            foresee=lambda recipe, plans: forecasts.of(planned(place, recipe, plans)),
        )

    def admit(connection: Connection) -> None:
        full_seconds = forecasts.room_in_seconds(caller.limits.jobs_waiting)
        _admit(connection, caller, photo.megapixels, full_seconds=full_seconds)

    is_bounded = bool(caller.limits.jobs_waiting or caller.limits.megapixels_per_day)
    if asked.deadline_ms is None:
        if is_bounded:
            async with services.transaction() as connection:
                await connection.run_sync(admit)
        async with services.hastening() as connection:
            place, choice = await connection.run_sync(reserve)
    else:
        # What is refused has spent nothing and takes no place: all of it is undone then.
        async with services.transaction() as connection:
            if is_bounded:
                await connection.run_sync(admit)
            place, choice = await connection.run_sync(reserve)
    recipe, plans = choice.recipe, choice.plans
    job_id = new_job_id()
    seed = secrets.randbelow(recipe_fields.MAX_SEED + 1) if recipe.seed is None else recipe.seed
    foreseen = (choice.forecast.raw_p50, choice.forecast.raw_p90)
    submission = Submission(
        job_id=job_id,
        tenant=tenant,
        recipe=recipe,
        seed=seed,
        place=place,
        photo_key=None if photo.spooled is None else keys.photo(tenant, job_id),
        photo_digest=None if photo.spooled is None else photo.spooled.digest,
        background_key=None if upload.background is None else keys.background(tenant, job_id),
        keeping=caller.keeping.within(services.keeping),
        plans=plans,
        webhook_url=upload.webhook_url,
        megapixels=photo.megapixels,
        photo_url=photo.url,
        upload=photo.upload,
        degraded=choice.degraded,
        # A time that was asked for, or somebody's server, tells nothing of queues.
        foreseen=None if recipe.run_at is not None or photo.url is not None else foreseen,
    )
    return submission, planned(place, recipe, plans)


def _admit(
    connection: Connection, caller: Caller, megapixels: float, *, full_seconds: float
) -> None:
    """Raise QueueFull, or RateLimited for today's megapixels, unless one more photo fits."""
    limits.refuse_when_full(
        connection, caller.tenant, caller.limits, exactly=False, full_seconds=full_seconds
    )
    limits.spend(connection, caller.tenant, megapixels, caller.limits)


async def _read(
    services: Services, caller: Caller, upload: Upload
) -> tuple[Recipe, dict[StageName, Plan], list[Published]]:
    """Read the recipe and choose its models, of those that are known.

    Raises InvalidRecipe and its kinds.
    """
    known = await services.models.get(lambda: _published(services))
    presets = await services.presets(caller.tenant)
    with_file = upload.background is not None
    read = partial(
        recipe_fields.parse,
        offered=models.offered(known),
        faults=models.faults(known),
        presets=presets,
        with_background_file=with_file,
    )
    recipe = recipe_defaults.parse(
        caller.recipe, upload.fields, read, with_background_file=with_file
    )
    return recipe, models.choose(known, recipe), known


async def _published(services: Services) -> list[Published]:
    async with services.reading() as connection:
        return await connection.run_sync(models.published, pools=services.pools)


def _write(
    connection: Connection,
    caller: Caller,
    submission: Submission,
    also: Callable[[Connection, JobRow], None],
) -> Accepted:
    # Before anything is written: near its bound a tenant's submissions wait here in turn.
    limits.refuse_when_full(connection, caller.tenant, caller.limits, exactly=True)
    api_keys.count_job(connection, caller)
    named = submission.upload
    if named is not None and not uploads.hold(connection, named.id, caller.tenant):
        raise photos.unknown()
    ringing = transitions.submit(connection, submission)
    job = queries.find(connection, submission.job_id, submission.tenant)
    if job is None:
        raise RuntimeError(f"job {submission.job_id} was written and cannot be read")
    also(connection, job)
    return Accepted(job, ringing)


async def _store(services: Services, key: str, picture: Spooled) -> None:
    large = services.large_pictures if picture.length > PART_BYTES else contextlib.nullcontext()
    async with large:
        await services.in_thread(
            services.storage.put,
            key,
            # A spooled file is one in all but its declared type.
            cast("BinaryIO", picture.file),
            length=picture.length,
            media_type=picture.header.format,
        )


async def _give_back(services: Services, caller: Caller, submission: Submission) -> None:
    """Let what could not be submitted not count against today's megapixels."""
    if not caller.limits.megapixels_per_day:
        return
    with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
        async with services.transaction() as connection:
            await connection.run_sync(limits.give_back, submission.tenant, submission.megapixels)


async def _remove(services: Services, key: str) -> None:
    # Storage may be what failed; then retention finds the object, if there is one.
    with anyio.CancelScope(shield=True), contextlib.suppress(StorageUnavailable):
        await services.in_thread(services.storage.remove, key)
