"""From an accepted upload to a job: choose its models, store its pictures, write its rows."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

import anyio
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from smart_filter_api import keys as api_keys
from smart_filter_api import photos, placing, recipe_defaults
from smart_filter_api.deps import Services
from smart_filter_api.intake import Spooled, Upload
from smart_filter_api.keys import Caller
from smart_filter_api.orders import Asked, Order
from smart_filter_api.placing import Placed, Sources
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    NotAvailable,
    StorageUnavailable,
    TryAgain,
)
from smart_filter_shared.ids import OPERATOR, Capability, new_job_id
from smart_filter_shared.jobs import (
    limits,
    memory,
    models,
    queries,
    transitions,
    uploads,
    webhooks,
)
from smart_filter_shared.jobs.forecast import Forecast
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import Submission
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import PART_BYTES

# What is told who wants a webhook where the operator has set no key.
NO_KEY = "webhooks need the setting SMART_FILTER_SECRETS_KEY here"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that is written and committed.

    ringing: what to ring for it now.  forecast: where it stood when it got its place.
    """

    job: JobRow
    ringing: list[Capability]
    forecast: Forecast


async def accept(
    services: Services,
    caller: Caller,
    upload: Upload,
    *,
    also: Callable[[Connection, JobRow], None] | None,
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
    submission, placed = await _planned(services, caller, upload)

    def write_all(connection: Connection) -> Accepted:
        accepted = write(connection, caller, submission, also, placed=placed)
        if upload.webhook_url is not None and seal is not None:
            webhooks.ensure_default(connection, seal, caller.tenant)
        return accepted

    async with contextlib.AsyncExitStack() as undoing:
        undoing.push_async_callback(give_back, services, caller, submission.megapixels)
        pictures = {
            submission.photo_key: upload.photo if isinstance(upload.photo, Spooled) else None,
            submission.background_key: upload.background,
        }
        for key, picture in pictures.items():
            if key is not None and picture is not None:
                undoing.push_async_callback(remove, services, key)
                await store(services, key, picture)
        if also is None and _is_one_statement(caller, submission, upload, placed):
            async with services.stating() as connection:
                services.forecasts.accept(placed.outstanding)
                # It commits itself: as below, unless it is known to have failed.
                undone = undoing.pop_all()
                try:
                    accepted = await connection.run_sync(write_all)
                except Exception as error:
                    if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                        await undone.aclose()
                    raise
        else:
            async with services.transaction() as connection:
                services.forecasts.accept(placed.outstanding)
                accepted = await connection.run_sync(write_all)
                # From here on a commit that seems to fail may have happened: the pictures stay,
                # and retention removes them should no row name them.
                undoing.pop_all()
    return accepted


def _is_one_statement(
    caller: Caller, submission: Submission, upload: Upload, placed: Placed
) -> bool:
    """Whether nothing is written but what `transitions.submit` writes at once."""
    return placed.has_room and not (
        caller.is_device
        or upload.webhook_url
        or submission.upload
        or submission.sources
        or submission.borrows
    )


async def _planned(services: Services, caller: Caller, upload: Upload) -> tuple[Submission, Placed]:
    tenant = caller.tenant
    order = await read(
        services,
        caller,
        upload.fields,
        defaults=caller.recipe,
        with_background_file=upload.background is not None,
    )
    keeping = caller.keeping.within(services.keeping)
    photo = await photos.accepted(services, tenant, upload.photo)
    digest = None if photo.spooled is None else photo.spooled.digest

    def look(connection: Connection) -> Sources:
        if not services.remember:
            return {}
        return memory.look(
            connection,
            tenant,
            digest,
            order.works,
            running=order.plans,
            since=memory.kept_since(keeping),
        )

    placed = await placing.take(
        services,
        caller,
        order,
        megapixels=photo.megapixels,
        charged_megapixels=photo.megapixels,
        look=look,
        digest=digest if services.remember else None,
    )
    recipe = placed.recipe
    job_id = new_job_id()
    # The end of an id is as random as anything; to ask the system for more takes a while.
    seed = job_id.int & recipe_fields.MAX_SEED if recipe.seed is None else recipe.seed
    submission = Submission(
        job_id=job_id,
        tenant=tenant,
        recipe=recipe,
        seed=seed,
        place=placed.place,
        photo_key=None if photo.spooled is None else keys.photo(tenant, job_id),
        photo_digest=digest,
        background_key=None if upload.background is None else keys.background(tenant, job_id),
        keeping=keeping,
        plans=placed.plans,
        webhook_url=upload.webhook_url,
        megapixels=photo.megapixels,
        photo_url=photo.url,
        upload=photo.upload,
        works=placed.works,
        sources=placed.sources,
        degraded=placed.degraded,
        # Somebody's server tells nothing of queues.
        foreseen=None if photo.url is not None else placed.foreseen,
    )
    return submission, placed


async def read(
    services: Services,
    caller: Caller,
    fields: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, object],
    with_background_file: bool,
) -> Order:
    """Read a recipe and choose its models.  Raises InvalidRecipe and its kinds.

    defaults: what holds where the fields say nothing, as recipe_defaults.py has it.
    """
    reading = partial(
        _read,
        services,
        caller,
        fields,
        defaults=defaults,
        with_background_file=with_background_file,
    )
    try:
        return await reading()
    except InvalidRecipe:
        # The model or the picture that is asked for may have come a moment ago.
        services.models.forget()
        services.stock.forget(caller.tenant)
        return await reading()


async def _read(
    services: Services,
    caller: Caller,
    fields: Mapping[str, Sequence[str]],
    *,
    defaults: Mapping[str, object],
    with_background_file: bool,
) -> Order:
    known = await services.models.get(lambda: _published(services))
    pictures = await services.pictures(caller.tenant)
    asked = Asked(caller.tenant, fields, defaults, with_background_file, known, pictures)
    return services.orders.get(asked, partial(_order, asked))


def _order(asked: Asked) -> Order:
    parse = partial(
        recipe_fields.parse,
        offered=models.offered(asked.known),
        faults=models.faults(asked.known),
        presets=[*PRESETS, *(picture.preset for picture in asked.pictures)],
        with_background_file=asked.with_background_file,
    )
    recipe = recipe_defaults.parse(
        asked.defaults, asked.fields, parse, with_background_file=asked.with_background_file
    )
    plans = models.choose(asked.known, recipe)
    return Order(recipe, plans, memory.works(recipe, plans, asked.known), asked.known)


async def _published(services: Services) -> list[Published]:
    async with services.reading() as connection:
        return await connection.run_sync(models.published, pools=services.pools)


def write(
    connection: Connection,
    caller: Caller,
    submission: Submission,
    also: Callable[[Connection, JobRow], None] | None,
    *,
    placed: Placed,
) -> Accepted:
    """Write a job.  Raises QueueFull, OutOfScope, and InputsExpired for what it borrows."""
    if not placed.has_room:
        # Before anything is written: near its bound a tenant's submissions wait here in turn.
        limits.refuse_when_full(connection, caller.tenant, caller.limits, exactly=True)
    api_keys.count_job(connection, caller)
    named = submission.upload
    if named is not None and not uploads.hold(connection, named.id, caller.tenant):
        raise photos.unknown()
    written = transitions.submit(connection, submission)
    job = queries.submitted(submission, written)
    if also is not None:
        also(connection, job)
    return Accepted(job, written.ringing, placed.forecast)


async def store(services: Services, key: str, picture: Spooled) -> None:
    """Store a picture.  Raises StorageUnavailable."""
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


async def give_back(services: Services, caller: Caller, megapixels: float) -> None:
    """Let what could not be submitted not count against today's megapixels."""
    if not caller.limits.megapixels_per_day:
        return
    with anyio.CancelScope(shield=True), contextlib.suppress(TryAgain):
        async with services.transaction() as connection:
            await connection.run_sync(limits.give_back, caller.tenant, megapixels)


async def remove(services: Services, key: str) -> None:
    """Remove a picture that no row will name, if storage is there."""
    # Storage may be what failed; then retention finds the object, if there is one.
    with anyio.CancelScope(shield=True), contextlib.suppress(StorageUnavailable):
        await services.in_thread(services.storage.remove, key)
