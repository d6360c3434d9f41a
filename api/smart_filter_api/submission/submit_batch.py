"""Prepare a batch: a job for each valid item, and an error for each invalid one."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio.lowlevel
import anyio.to_thread

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, RecipeLayer
from smart_filter_api.problems import problem
from smart_filter_api.services.container import Services
from smart_filter_api.submission import admission, batch_body, commit, photo_source, recipe_parser
from smart_filter_api.submission.batch_body import UploadedBatch
from smart_filter_api.submission.commit import BatchSubmission
from smart_filter_api.submission.photo_source import ResolvedPhoto
from smart_filter_shared.albums import Take
from smart_filter_shared.errors import (
    Contradiction,
    Error,
    FieldError,
    InvalidInput,
    InvalidRecipe,
    InvalidRequest,
    InvalidWebhookUrl,
    Rejected,
    UploadMissing,
)
from smart_filter_shared.ids import OPERATOR, new_batch_id, new_job_id
from smart_filter_shared.jobs.submission import (
    BatchMember,
    NewPhotoBatch,
    NewPhotoJob,
    encode_batch,
)
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.submission import RejectedItem
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.recipe import MAX_SEED
from smart_filter_shared.storage import keys
from smart_filter_wire.findings import TAKE

# Errors that one answer lists; a thousand items would make an answer of hundreds of kilobytes.
_MAX_ERRORS = 50
_NOTHING_TO_COMPOSE = "an album composes its best photos; request a picture, such as `image`"


@dataclass(frozen=True, slots=True)
class _Item:
    """A valid item, which becomes a job; index: its position in the request."""

    index: int
    photo: ResolvedPhoto
    photo_name: str | None
    parsed_recipe: ParsedRecipe


async def prepare_batch(services: Services, caller: Caller, sent: UploadedBatch) -> BatchSubmission:
    """Check the photos and recipes of a batch, admit its jobs, and return it ready to be written.

    A batch that exceeds the caller's limits, or has no valid item, is rejected as a whole.
    Raises InvalidRequest, InvalidRecipe and its subclasses, QueueFull, RateLimited,
    DatabaseUnavailable and StorageUnavailable, and the common error of all items.
    """
    try:
        webhook_url = photo_source.check_webhook(services, sent.webhook_url)
        sent = replace(sent, webhook_url=webhook_url)
    except InvalidWebhookUrl as error:
        sent = replace(sent, faults=[*sent.faults, error])
    items, gaps = await _read_items(services, caller, sent)
    recipes = [item.parsed_recipe for item in items]
    megapixels = sum(item.photo.megapixels for item in items)
    if sent.best == TAKE:
        fields = batch_body.with_rating(sent.common)
        recipes.append(await _read_recipe(services, caller, sent, fields, may_reload=True))
        megapixels += max(item.photo.megapixels for item in items)
    most = caller.limits.jobs_waiting
    if most and len(recipes) > most:
        # Not QueueFull, since retrying would not help.
        detail = (
            f"has {len(recipes)} photos, but at most {most} jobs may wait; send smaller batches"
        )
        raise InvalidRequest([FieldError("/items", detail)])
    if caller.tenant != OPERATOR:
        await services.refuse_when_full(jobs=len(recipes))
    # The batch ends as well.
    await admission.hold_deliveries(
        services, caller, jobs=len(recipes) + 1, webhook_url=sent.webhook_url
    )
    spooled = [item.photo.spooled for item in items if item.photo.spooled is not None]
    await admission.check_stored_bytes(services, caller, spooled)
    places = await admission.admit_batch(services, caller, recipes, megapixels=megapixels)
    batch = _build_batch(
        services, caller, sent, items=items, recipes=recipes, places=places, gaps=gaps
    )
    pictures = {
        job.photo_key: item.photo.spooled
        for item, job in zip(items, batch.jobs, strict=True)
        if job.photo_key is not None and item.photo.spooled is not None
    }
    rows = await anyio.to_thread.run_sync(encode_batch, batch)
    return BatchSubmission(batch, rows, pictures, megapixels)


async def _read_items(
    services: Services, caller: Caller, sent: UploadedBatch
) -> tuple[list[_Item], list[RejectedItem]]:
    """Parse every recipe; return the valid items and the rejected ones.

    Raises one error for everything that is wrong when a common field is, when no item is valid, or
    when too many recipes are wrong.
    """
    parsed_recipes, refused = await _read_each_recipe(services, caller, sent)
    read = await _read_each_photo(services, caller, sent, parsed_recipes, refused)
    if sent.faults or not read:
        common = await _check_common_recipe(services, caller, sent)
        # Items whose recipe was not read because of their photo cannot name its errors.
        is_unread = all(isinstance(item, Rejected) for item in sent.items)
        faults = [*sent.faults, common] if common is not None and is_unread else sent.faults
        raise _combine_errors(faults, refused, [] if common is None else common.errors)
    return read, [
        RejectedItem(index, error_document(error, f"/items/{index}"))
        for index, error in sorted(refused.items())
    ]


async def _read_each_recipe(
    services: Services, caller: Caller, sent: UploadedBatch
) -> tuple[dict[int, ParsedRecipe], dict[int, Error]]:
    """Return the recipes of the valid items by their indices, and the errors of the others.

    Raises one error for all of them once MAX_WRONG_ITEMS are wrong.
    """
    parsed_recipes: dict[int, ParsedRecipe] = {}
    refused: dict[int, Error] = {}
    wrong = 0
    for index, item in enumerate(sent.items):
        if isinstance(item, Rejected):
            refused[index] = item
            continue
        try:
            # The first invalid item reloads models and pictures; a thousand need not.
            parsed_recipes[index] = await _read_recipe(
                services, caller, sent, item.fields, may_reload=not wrong
            )
        except Rejected as error:
            refused[index] = error
            wrong += 1
        if wrong == batch_body.MAX_WRONG_ITEMS:
            raise _combine_errors([batch_body.too_many_wrong(index)], refused, [])
        await anyio.lowlevel.checkpoint()  # other requests have a turn
    return parsed_recipes, refused


async def _read_each_photo(
    services: Services,
    caller: Caller,
    sent: UploadedBatch,
    parsed_recipes: Mapping[int, ParsedRecipe],
    refused: dict[int, Error],
) -> list[_Item]:
    """Return the valid items in order; add the errors of the others to `refused`."""
    read: list[_Item] = []
    left = iter(parsed_recipes.items())

    async def read_some() -> None:
        for index, parsed_recipe in left:
            item = sent.items[index]
            assert not isinstance(item, Rejected)  # it has a recipe
            try:
                photo = await photo_source.resolve_photo(services, caller.tenant, item.photo)
            except (Rejected, UploadMissing) as error:
                refused[index] = error
            else:
                read.append(_Item(index, photo, item.photo_name, parsed_recipe))

    await commit.run_concurrently(read_some, tasks=len(parsed_recipes))
    read.sort(key=lambda item: item.index)
    return read


async def _check_common_recipe(
    services: Services, caller: Caller, sent: UploadedBatch
) -> InvalidRecipe | None:
    """Return the error of the common recipe alone, None if it is valid."""
    try:
        await _read_recipe(services, caller, sent, sent.common, may_reload=False)
    except InvalidRecipe as error:
        return error
    return None


async def _read_recipe(
    services: Services, caller: Caller, sent: UploadedBatch, fields: Fields, *, may_reload: bool
) -> ParsedRecipe:
    parsed_recipe = await recipe_parser.read_recipe(
        services,
        caller,
        fields,
        layers=[RecipeLayer(caller.recipe)],
        with_background_file=False,
        may_reload=may_reload,
    )
    if sent.best is not None and StageName.COMPOSITE not in parsed_recipe.plans:
        raise Contradiction([FieldError("/outputs", _NOTHING_TO_COMPOSE)])
    return parsed_recipe


def _combine_errors(
    faults: Sequence[InvalidRecipe], refused: Mapping[int, Error], common: Sequence[FieldError]
) -> Error:
    """Return the error of a rejected batch, which names everything that is wrong.

    common: the errors of the common recipe, which its items have too; each is named once.
    """
    errors = [*faults, *refused.values()]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRequest
    if not issubclass(kind, InvalidInput):
        return _combine_missing(refused)
    fields = dict.fromkeys(field for fault in faults for field in fault.errors)
    more = 0
    shared = {field.pointer: field for field in common}
    for index, error in sorted(refused.items()):
        faults_of_item = (
            error.errors if isinstance(error, InvalidInput) else [FieldError("", str(error))]
        )
        fields.update(
            dict.fromkeys(field for field in faults_of_item if shared.get(field.pointer) == field)
        )
        left = list(
            dict.fromkeys(field for field in faults_of_item if shared.get(field.pointer) != field)
        )
        listed = left[: max(0, _MAX_ERRORS - len(fields))]
        fields.update(dict.fromkeys(_place_below(listed, f"/items/{index}")))
        more += len(left) - len(listed)
    more += max(0, len(fields) - _MAX_ERRORS)
    end = [FieldError("", f"{more} more errors are not listed")] if more else []
    return kind.of_fields([*list(fields)[:_MAX_ERRORS], *end])


def _combine_missing(refused: Mapping[int, Error]) -> Error:
    """Return the error of a batch whose uploads are all empty, which names every one."""
    first = refused[min(refused)]
    if not isinstance(first, UploadMissing) or len(refused) == 1:
        return first
    pointers = [f"/items/{index}" for index in sorted(refused)]
    more = "" if len(pointers) <= _MAX_ERRORS else f" and {len(pointers) - _MAX_ERRORS} more"
    return UploadMissing(
        f"{', '.join(pointers[:_MAX_ERRORS])}{more}: {first}",
        retry_after_seconds=first.retry_after_seconds,
    )


def _place_below(errors: Sequence[FieldError], prefix: str) -> list[FieldError]:
    """Return the errors of an item with pointers that start at the body."""
    return [FieldError(prefix + error.pointer, error.detail) for error in errors]


def error_document(error: Error, prefix: str) -> dict[str, object]:
    """Return an error in the format of a failed job's, with the invalid fields."""
    document: dict[str, object] = {
        "code": error.code,
        "title": problem.KINDS[error.code].title,
        "detail": _replace_nul(str(error)),
        "stage": None,
    }
    if isinstance(error, InvalidInput):
        document["errors"] = [
            {"detail": _replace_nul(field.sentence), "pointer": _replace_nul(field.pointer)}
            for field in _place_below(error.errors, prefix)
        ]
    return document


def _replace_nul(text: str) -> str:
    """Return a text with NUL replaced, which the database cannot store."""
    return text.replace("\0", "\ufffd")


def _build_batch(
    services: Services,
    caller: Caller,
    sent: UploadedBatch,
    *,
    items: Sequence[_Item],
    recipes: Sequence[ParsedRecipe],
    places: Sequence[Reservation],
    gaps: Sequence[RejectedItem],
) -> NewPhotoBatch:
    """Return the batch; recipes, places: of the items, and then of the take, if there is one."""
    batch_id = new_batch_id()
    jobs = []
    for index, (parsed_recipe, place) in enumerate(zip(recipes, places, strict=True)):
        job = _build_job(services, caller, parsed_recipe, place)
        if index < len(items):
            member = BatchMember(batch_id, items[index].index, is_ranked=sent.best is not None)
            photo_job = replace(job, membership=member, photo_name=items[index].photo_name)
            jobs.append(_with_photo(photo_job, items[index].photo))
    if sent.best != TAKE:
        return NewPhotoBatch(batch_id, caller.tenant, sent.best, sent.webhook_url, jobs, gaps)
    take = replace(
        job,
        membership=BatchMember(batch_id, None, is_ranked=False),
        take=Take(),
    )
    return NewPhotoBatch(batch_id, caller.tenant, 0, sent.webhook_url, jobs, gaps, take)


def _build_job(
    services: Services, caller: Caller, parsed_recipe: ParsedRecipe, place: Reservation
) -> NewPhotoJob:
    """Return a job without its photo."""
    seed = parsed_recipe.recipe.seed
    return NewPhotoJob(
        job_id=new_job_id(),
        tenant=caller.tenant,
        recipe=parsed_recipe.recipe,
        seed=secrets.randbelow(MAX_SEED + 1) if seed is None else seed,
        place=place,
        photo_key=None,
        photo_digest=None,
        background_key=None,
        retention=caller.retention.within(services.retention),
        plans=parsed_recipe.plans,
        # A batch does not reuse earlier results; later jobs can reuse its results.
        cache_keys=parsed_recipe.cache_keys,
        link_seconds=caller.link_seconds,
        key_id=caller.key_id,
    )


def _with_photo(job: NewPhotoJob, photo: ResolvedPhoto) -> NewPhotoJob:
    spooled = photo.spooled
    job = replace(job, megapixels=photo.megapixels, photo_url=photo.url, upload=photo.upload)
    if spooled is None:
        return job
    key = keys.photo(job.tenant, job.job_id)
    return replace(job, photo_key=key, photo_digest=spooled.digest, lengths={key: spooled.length})
