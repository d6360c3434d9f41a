"""Prepare a batch: a job for each valid item, and an error for each invalid one."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.problems import problem
from smart_filter_api.services.container import Services
from smart_filter_api.services.recipe_cache import ParsedRecipe
from smart_filter_api.submission import admission, commit, photo_source, recipe_parser
from smart_filter_api.submission.batch_intake import UploadedBatch
from smart_filter_api.submission.commit import BatchSubmission
from smart_filter_api.submission.photo_source import ResolvedPhoto
from smart_filter_shared.errors import (
    Contradiction,
    Error,
    FieldError,
    InvalidRecipe,
    InvalidRequest,
    Rejected,
    UploadMissing,
)
from smart_filter_shared.ids import OPERATOR, new_batch_id, new_job_id
from smart_filter_shared.jobs.submission import BatchMember, NewPhotoBatch, NewPhotoJob
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.submission import RejectedItem
from smart_filter_shared.recipe import fields as recipe_fields
from smart_filter_shared.storage import keys

_NOTHING_TO_COMPOSE = "an album composes its best photos; request a picture, such as `image`"


@dataclass(frozen=True, slots=True)
class _Item:
    """A valid item, which becomes a job; index: its position in the request."""

    index: int
    photo: ResolvedPhoto
    order: ParsedRecipe


async def prepare_batch(services: Services, caller: Caller, sent: UploadedBatch) -> BatchSubmission:
    """Check the photos and recipes of a batch, admit its jobs, and return it ready to be written.

    A batch that exceeds the caller's limits, or has no valid item, is rejected as a whole.
    Raises InvalidRequest, InvalidRecipe and its subclasses, QueueFull, RateLimited,
    DatabaseUnavailable and StorageUnavailable, and the common error of all items.
    """
    commit.refuse_webhook_without_key(services, sent.webhook_url)
    items, gaps = await _read_items(services, caller, sent)
    most = caller.limits.jobs_waiting
    if most and len(items) > most:
        # Not QueueFull, since retrying would not help.
        detail = f"has {len(items)} photos, but at most {most} jobs may wait; send smaller batches"
        raise InvalidRequest([FieldError("/items", detail)])
    if caller.tenant != OPERATOR:
        await services.refuse_when_full(jobs=len(items))
    megapixels = sum(item.photo.megapixels for item in items)
    places = await admission.admit_batch(
        services, caller, [item.order for item in items], megapixels=megapixels
    )
    batch = _build_batch(services, caller, sent, items=items, places=places, gaps=gaps)
    pictures = {
        job.photo_key: item.photo.spooled
        for item, job in zip(items, batch.jobs, strict=True)
        if job.photo_key is not None and item.photo.spooled is not None
    }
    return BatchSubmission(batch, pictures, megapixels)


async def _read_items(
    services: Services, caller: Caller, sent: UploadedBatch
) -> tuple[list[_Item], list[RejectedItem]]:
    """Parse every recipe; return the valid items and the rejected ones.

    Raises the common error when no item is valid.
    """
    read, refused = await _read_each_item(services, caller, sent)
    if not read:
        raise _combine_refusals(refused)
    return read, [RejectedItem(index, _error_document(error)) for index, error in refused.items()]


async def _read_each_item(
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
                order = await recipe_parser.read_recipe(
                    services,
                    caller,
                    item.fields,
                    defaults=caller.recipe,
                    with_background_file=False,
                )
                if sent.best is not None and StageName.COMPOSITE not in order.plans:
                    raise Contradiction([FieldError("/outputs", _NOTHING_TO_COMPOSE)])
                photo = await photo_source.resolve_photo(services, caller.tenant, item.photo)
            except (Rejected, UploadMissing) as error:
                refused[index] = error
            else:
                read.append(_Item(index, photo, order))

    await commit.run_concurrently(read_some, tasks=len(sent.items))
    read.sort(key=lambda item: item.index)
    return read, dict(sorted(refused.items()))


def _combine_refusals(refused: dict[int, Error]) -> Error:
    """Return the error for a batch without valid items: the common one, or one per item."""
    errors = list(refused.values())
    if len({(type(error), str(error)) for error in errors}) == 1:
        return errors[0]
    return InvalidRequest(
        [FieldError(f"/items/{index}", str(error)) for index, error in refused.items()]
    )


def _error_document(error: Error) -> dict[str, object]:
    """Return an error in the format of a failed job's, with the invalid fields."""
    document: dict[str, object] = {
        "code": error.code,
        "title": problem.KINDS[error.code].title,
        "detail": _replace_nul(str(error)),
        "stage": None,
    }
    if isinstance(error, InvalidRecipe):
        document["errors"] = [
            {"detail": _replace_nul(one.detail), "pointer": _replace_nul(one.pointer)}
            for one in error.errors
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
    places: Sequence[Reservation],
    gaps: Sequence[RejectedItem],
) -> NewPhotoBatch:
    batch_id, tenant = new_batch_id(), caller.tenant
    jobs = []
    for item, place in zip(items, places, strict=True):
        job_id, seed = new_job_id(), item.order.recipe.seed
        jobs.append(
            NewPhotoJob(
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
                # A batch does not reuse earlier results; later jobs can reuse its results.
                works=item.order.works,
                membership=BatchMember(batch_id, item.index, sent.best is not None),
            )
        )
    return NewPhotoBatch(batch_id, tenant, sent.best, sent.webhook_url, jobs, gaps)
